//go:build linux

package faults

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func testTLS(t *testing.T, w *world) {
	ca := newAuthority(t)
	valid := ca.issue(t, "127.0.0.1", time.Hour)
	faults := map[string]tls.Certificate{
		"expired":           ca.issue(t, "127.0.0.1", -time.Hour),
		"wrong name":        ca.issue(t, "10.9.9.9", time.Hour),
		"unknown authority": newAuthority(t).issue(t, "127.0.0.1", time.Hour),
	}
	check := func(name string, makePeer func(w *world) *peer) {
		w.part(name, func(t *testing.T, w *world) {
			a, b := makePeer(w), w.peer(good())
			w.peers = append(w.peers, a)
			more := fmt.Sprintf(", connect_timeout: 500ms, tls: {ca_file: %q}", ca.file)
			url := strings.Replace(a.url(), "http:", "https:", 1)
			g := w.start(setup{window: 10 * time.Second, lanes: []lane{{name: "a", url: url, more: more}, {name: "b", peer: b}}})
			w.wantOK(name, w.many(20, 2, turns), 1)
			if s := g.state("a"); s == "closed" {
				t.Errorf("a is %s after 20 requests", s)
			}
			w.wantCount("requests sent in spite of it", a, 0)
			b.plays(unavailable())
			if r := w.do(ask{caller: "frank"}); r.status < 500 || strings.Contains(r.body, "x509") {
				t.Errorf("want an error, got %s", r)
			}
		})
	}
	for name, cert := range faults {
		check(name, func(w *world) *peer { return tlsPeer(w.t, cert, good()) })
	}
	check("hanging handshake", func(w *world) *peer {
		return tlsPeer(w.t, valid, good()).accepts(func(int) script { return script{pauseBlind()} })
	})
	check("plain text", func(w *world) *peer {
		return newPeer(w.t, good()).accepts(func(int) script { return script{send("HTTP/1.1 400 Bad Request\r\n\r\n"), hangUp()} })
	})
	check("reset in the handshake", func(w *world) *peer {
		return tlsPeer(w.t, valid, good()).accepts(func(int) script { return script{reset()} })
	})
	w.part("renegotiation", func(t *testing.T, w *world) {
		address := renegotiating(w, valid)
		b := w.peer(good())
		more := fmt.Sprintf(", tls: {ca_file: %q}", ca.file)
		w.start(setup{window: 10 * time.Second, lanes: []lane{{name: "a", url: "https://" + address, more: more}, {name: "b", peer: b}}})
		w.wantServed(w.do(ask{}), "b")
	})
	w.part("valid", func(t *testing.T, w *world) { // the same with a good certificate is served
		a := tlsPeer(t, valid, good())
		w.peers = append(w.peers, a)
		w.start(setup{lanes: []lane{{name: "a", peer: a, more: fmt.Sprintf(", tls: {ca_file: %q}", ca.file)}}})
		w.wantServed(w.do(ask{}), "a")
	})
}

// renegotiating starts a server that asks for a new handshake once the first
// one has ended, and returns its address. Go's library cannot; OpenSSL's can.
func renegotiating(w *world, cert tls.Certificate) string {
	w.t.Helper()
	address, file := freePort(w.t), filepath.Join(w.t.TempDir(), "cert.pem")
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		w.t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command("openssl", "s_server", "-tls1_2", "-accept", address, "-cert", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	said := &output{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		w.skip("renegotiation needs OpenSSL: " + err.Error())
	}
	ended := make(chan struct{})
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		<-ended
	})
	eventually(w.t, patience, "OpenSSL listens", func() bool { return strings.Contains(said.text(), "ACCEPT") })
	go func() {
		defer close(ended)
		if eventually(w.t, patience, "the request is at OpenSSL", func() bool { return strings.Contains(said.text(), "POST ") }) {
			_, _ = io.WriteString(in, "R\n") // its command for a new handshake
		}
	}()
	return address
}

// tlsPeer is a peer that speaks TLS.
func tlsPeer(t testing.TB, cert tls.Certificate, onAsk func(*askSeen) script) *peer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return servePeer(t, ln, &tls.Config{Certificates: []tls.Certificate{cert}}, onAsk)
}

// authority issues certificates.
type authority struct {
	file string // PEM
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{file: filepath.Join(t.TempDir(), "ca.pem"), key: key}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(a.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// issue returns a certificate for an address that is valid for a time from now.
func (a *authority) issue(t testing.TB, address string, valid time.Duration) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: address}, IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(valid),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
