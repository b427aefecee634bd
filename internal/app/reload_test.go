package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// writeCertificate writes a certificate of that serial number, and its key.
func writeCertificate(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// serial is the number of the certificate that the data listener shows.
func (r *running) serial() int64 {
	r.t.Helper()
	conn, err := tls.Dial("tcp", r.DataAddr(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// TestReloadReadsTheCertificate renews the files of the certificate; the
// configuration itself stays as it is.
func TestReloadReadsTheCertificate(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir, 1)
	r := startWith(t, func(text string) string {
		tls := `tls: {cert: "` + dir + `/cert.pem", key: "` + dir + `/key.pem"}`
		return strings.Replace(text, "drain_timeout: 10s", "drain_timeout: 10s, "+tls, 1)
	})
	if got := r.serial(); got != 1 {
		t.Errorf("certificate %d, want 1", got)
	}
	writeCertificate(t, dir, 2)
	r.Reload()
	if got := r.serial(); got != 2 {
		t.Errorf("after the reload certificate %d, want 2", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte("half a k"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.Reload()
	if got := r.serial(); got != 2 || !strings.Contains(r.log.String(), "configuration not reloaded") {
		t.Errorf("with half a key certificate %d, want 2. Log:\n%s", got, r.log)
	}
	r.stop()
}

// TestReloadNamesWhatWaits changes settings that take a restart.
func TestReloadNamesWhatWaits(t *testing.T) {
	r := start(t)
	r.replace("{drain_timeout: 10s}", "{drain_timeout: 11s, idle_timeout: 1m, header_timeout: 1s, max_header_bytes: 32KiB}")
	r.eventually("warned", func() bool { return strings.Contains(r.log.String(), "need a restart") })
	for _, want := range []string{"server.drain_timeout", "server.idle_timeout", "server.header_timeout", "server.max_header_bytes"} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("the log does not name %s:\n%s", want, r.log)
		}
	}
	if strings.Contains(r.log.String(), "server.listen") {
		t.Errorf("the log names what has not changed:\n%s", r.log)
	}
	r.stop()
}

// TestReloadFollowsLinks replaces the file by a link to another directory,
// changes the file that the link leads to, and then where it leads.
func TestReloadFollowsLinks(t *testing.T) {
	r := start(t)
	text, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	put := func(dir, tiers string) string {
		path := filepath.Join(dir, "real.yaml")
		data := strings.Replace(string(text), "tiers: [[ptu-eastus], [std-sweden]]", "tiers: "+tiers, 1)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := func(target string) {
		if err := os.Symlink(target, r.path+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(r.path+".new", r.path); err != nil {
			t.Fatal(err)
		}
	}
	reloaded := func(n int) {
		t.Helper()
		r.eventually("reloaded", func() bool { return strings.Count(r.log.String(), "configuration reloaded") == n })
	}
	first, second := t.TempDir(), t.TempDir()
	link(put(first, "[[std-sweden], [ptu-eastus]]"))
	reloaded(1)
	put(first, "[[std-sweden]]")
	reloaded(2)
	link(put(second, "[[ptu-eastus]]"))
	reloaded(3)
	put(second, "[[ptu-eastus, std-sweden]]")
	reloaded(4)
	r.stop()
}

// TestReloadOfModels gives a model twice its published speed, which doubles what a
// request is granted, and takes that back.
func TestReloadOfModels(t *testing.T) { synctest.Test(t, testReloadOfModels) }

func testReloadOfModels(t *testing.T) {
	r := startVirtual(t, func(text string) string {
		return strings.NewReplacer(
			"tiers: [[ptu-eastus], [std-sweden]]", "tiers: [[std-sweden], [ptu-eastus]]",
			"window: 60s}", "window: 60s, budget: {mode: clamp}}",
		).Replace(text)
	})
	const models = "models: [{name: gpt-4o-mini, tokens_per_second: 66}]\n"
	published := r.grant()
	r.replace("server:", models+"server:")
	r.Reload()
	if got := r.grant(); got < published*19/10 || got > published*21/10 {
		t.Errorf("at twice the speed %d tokens are granted, and %d before", got, published)
	}
	r.replace(models, "")
	r.Reload()
	if got := r.grant(); got != published {
		t.Errorf("without models %d tokens are granted, and %d before", got, published)
	}
	r.stop()
}
