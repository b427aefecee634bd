package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// derive fills in the defaults that depend on other options.
func (d *decoder) derive(c *Config) {
	deriveExports(c.Exports)
	deriveAccess(c)
	d.deriveModels(c.Models)
	table := c.ModelTable()
	for i := range c.Deployments {
		p := &c.Deployments[i]
		p.Endpoint = strings.TrimRight(p.Endpoint, "/")
		if p.Style == "" {
			p.Style = styleOf(p)
		}
		if p.Deployment == "" {
			p.Deployment = p.Model
		}
		if !d.given(fmt.Sprintf("deployments[%d].reasoning", i)) {
			p.Reasoning = table.Reasons(p.Model)
		}
	}
}

// styleOf guesses a deployment's style from its endpoint.
func styleOf(p *Deployment) string {
	u, err := url.Parse(p.Endpoint)
	switch {
	case p.APIVersion != "":
		return StyleAzure
	case err != nil || !isAzure(u.Hostname()):
		return StyleOpenAI
	case strings.HasSuffix(u.Path, "/openai/v1"), strings.HasSuffix(u.Path, "/models"), strings.Contains(u.Path, "/api/projects/"):
		return StyleAzureV1
	}
	return StyleAzure
}

// isAzure reports whether a host is one of Azure's clouds: the public one, that of the
// US government, or that of China.
func isAzure(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return strings.HasSuffix(host, ".azure.com") || strings.HasSuffix(host, ".azure.us") || strings.HasSuffix(host, ".azure.cn")
}

// validate checks what no option can tell alone.
func (d *decoder) validate(c *Config) {
	d.server(&c.Server)
	known := map[string]bool{}
	d.unique("deployments", len(c.Deployments), func(i int) string { return c.Deployments[i].Name })
	for i := range c.Deployments {
		known[c.Deployments[i].Name] = true
		d.deployment(&c.Deployments[i], fmt.Sprintf("deployments[%d]", i))
	}
	d.models(c.Models)
	d.pools(c.Pools, known)
	classes := d.classes(c.Classes)
	d.callers(c, classes)
	d.access(c)
	d.exports(c)
	if c.Anonymous != "" {
		d.oneOf("anonymous", "class", c.Anonymous, classes)
	}
	if c.Routing.DefaultPool != "" {
		var pools []string
		for _, p := range c.Pools {
			pools = append(pools, p.Name)
		}
		d.oneOf("routing.default_pool", "pool", c.Routing.DefaultPool, pools)
	}
	d.otlp(&c.OTLP)
	if c.Retry.MaxDelay < c.Retry.BaseDelay {
		d.addAt("retry.max_delay", fmt.Sprintf("is less than base_delay, %s", formatDuration(c.Retry.BaseDelay)), "")
	}
	if c.Breaker.MaxOpenFor < c.Breaker.OpenFor {
		d.addAt("breaker.max_open_for", fmt.Sprintf("is less than open_for, %s", formatDuration(c.Breaker.OpenFor)), "")
	}
}

// minHeartbeat keeps heartbeats from costing more than the streams.
const minHeartbeat = time.Second

func (d *decoder) server(s *Server) {
	d.address("server.listen", s.Listen)
	if s.Admin != "" {
		d.address("server.admin", s.Admin)
		if s.Admin == s.Listen && !strings.HasSuffix(s.Listen, ":0") {
			d.addAt("server.admin", "is also the address of server.listen", "use different ports")
		}
	}
	if s.Heartbeat > 0 && s.Heartbeat < minHeartbeat {
		d.addAt("server.heartbeat", fmt.Sprintf("%s is less than %s", formatDuration(s.Heartbeat), formatDuration(minHeartbeat)),
			"0 turns heartbeats off")
	}
	if s.FirstHeartbeat > 0 && s.FirstHeartbeat < minHeartbeat {
		d.addAt("server.first_heartbeat", fmt.Sprintf("%s is less than %s", formatDuration(s.FirstHeartbeat), formatDuration(minHeartbeat)),
			"0 turns heartbeats before the first event off")
	}
	if s.TLS == nil || s.TLS.Cert == "" || s.TLS.Key == "" {
		return
	}
	cert, certErr := d.readFile(s.TLS.Cert)
	if certErr != nil {
		d.addAt("server.tls.cert", fmt.Sprintf("cannot be read: %v", certErr), "")
	}
	key, keyErr := d.readFile(s.TLS.Key)
	if keyErr != nil {
		d.addAt("server.tls.key", fmt.Sprintf("cannot be read: %v", keyErr), "")
	}
	if certErr == nil && keyErr == nil {
		if _, err := tls.X509KeyPair(cert, key); err != nil {
			d.addAt("server.tls", fmt.Sprintf("cert and key do not match: %v", err), "")
		}
	}
}

// address checks a host and port to listen on.
func (d *decoder) address(path, addr string) {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		d.addAt(path, d.shown(path, addr)+" is not an address to listen on", "write host:port, such as 127.0.0.1:8080 or :8080")
	}
}

// namePattern is what a name may look like that stands in headers and labels. It
// is constant.
var namePattern = regexp.MustCompile(`^[!-~]{1,128}$`)

// unique checks the names of the elements of one list.
func (d *decoder) unique(list string, n int, nameOf func(int) string) {
	first := map[string]int{}
	for i := range n {
		at := nameOf(i)
		path := fmt.Sprintf("%s[%d].name", list, i)
		if j, taken := first[at]; taken && at != "" {
			d.addAt(path, fmt.Sprintf("%s is also the name of %s[%d]", d.shown(path, at), list, j), "use unique names")
			continue
		}
		first[at] = i
		if at != "" && !namePattern.MatchString(at) {
			d.addAt(path, d.shown(path, at)+" is not a valid name", "use up to 128 printable ASCII characters without spaces")
		}
	}
}

// oneOf checks a reference to something by its name.
func (d *decoder) oneOf(path, what, ref string, names []string) {
	if ref != "" && !slices.Contains(names, ref) {
		d.addAt(path, fmt.Sprintf("no %s named %s", what, d.shown(path, ref)), suggest(ref, names))
	}
}

func (d *decoder) deployment(p *Deployment, path string) {
	d.endpoint(p, path+".endpoint")
	provisioned := p.Kind == "provisioned"
	switch {
	case provisioned && p.PTU == 0:
		d.addAt(path+".ptu", "a provisioned deployment needs its ptu", "add ptu: with the number of provisioned throughput units")
	case !provisioned && p.PTU > 0:
		d.addAt(path+".ptu", "only a provisioned deployment has ptu", "did you mean kind: provisioned?")
	}
	if provisioned && p.TPM > 0 {
		d.addAt(path+".tpm", "only a standard deployment has tpm", "remove it: a provisioned deployment is limited by its ptu")
	}
	if provisioned && p.RPM > 0 {
		d.addAt(path+".rpm", "only a standard deployment has rpm", "remove it: a provisioned deployment is limited by its ptu")
	}
	d.price(p, path+".price")
	if p.Style != StyleAzure && p.APIVersion != "" {
		d.addAt(path+".api_version", "only style azure uses it", "remove it, or write style: azure")
	}
	switch a := p.Auth; {
	case a == nil:
		if p.Style != StyleOpenAI {
			d.addAt(path+".auth", fmt.Sprintf("style %s needs a credential", p.Style), "add auth: {api_key: \"${env:NAME}\"}")
		}
	case a.APIKey == "" && a.Bearer == "":
		d.addAt(path+".auth", "contains no credential", "set one of api_key, bearer")
	case a.APIKey != "" && a.Bearer != "":
		d.addAt(path+".auth", "contains two credentials", "set one of api_key, bearer")
	}
	if p.Auth != nil {
		d.header(path+".auth.api_key", p.Auth.APIKey)
		d.header(path+".auth.bearer", p.Auth.Bearer)
	}
	if p.TLS != nil {
		d.authorities(p.TLS, path+".tls.ca_file")
	}
}

// price checks that what is given of a price is of use.
func (d *decoder) price(p *Deployment, path string) {
	switch {
	case p.Price == nil:
	case p.Price.Input > 0 && p.Price.Output == 0 && !d.given(path+".output"), p.Price.Input == 0 && p.Price.Output > 0, p.Price.Cached+p.Price.CacheWrite > 0 && p.Price.Input == 0:
		d.addAt(path, priceIncomplete, priceFix)
	case p.Price.PTUHour > 0 && p.Kind != "provisioned":
		d.addAt(path+".ptu_hour", "only a provisioned deployment has ptu", "did you mean kind: provisioned?")
	}
}

// endpoint checks a deployment's base URL.
func (d *decoder) endpoint(p *Deployment, path string) {
	if p.Endpoint == "" {
		return
	}
	u, err := url.Parse(p.Endpoint)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		if strings.ContainsAny(p.Endpoint, "@?#") {
			d.hide(d.placeOf(path), p.Endpoint)
		}
		d.addAt(path, "is not a URL", "write https:// and the host, such as https://eastus.openai.azure.com")
	case u.User != nil:
		d.hide(d.placeOf(path), p.Endpoint)
		d.addAt(path, "contains a user name", "put credentials into auth")
	case u.RawQuery != "" || u.Fragment != "":
		d.hide(d.placeOf(path), p.Endpoint)
		d.addAt(path, "contains more than a path", "end it before the ?; api_version has its own option")
	case p.Style == StyleAzure && strings.Contains(u.Path, "/openai/"):
		d.addAt(path, "contains a path that style azure adds itself", fmt.Sprintf("write %s://%s", u.Scheme, u.Host))
	}
}

// header checks that a secret can travel in a header.
func (d *decoder) header(path string, s Secret) {
	for _, c := range s.Reveal() {
		if c < '!' || c > '~' {
			d.addAt(path, "contains characters that a header cannot contain", "use printable ASCII without spaces")
			return
		}
	}
}

// authorities checks a file of trusted certificates.
func (d *decoder) authorities(t *UpstreamTLS, path string) {
	if t.CAFile == "" {
		return
	}
	pem, err := d.readFile(t.CAFile)
	if err != nil {
		d.addAt(path, fmt.Sprintf("cannot be read: %v", err), "")
		return
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		d.addAt(path, "contains no certificate", "it must be a PEM file")
	}
}

func (d *decoder) pools(pools []Pool, known map[string]bool) {
	deployments := make([]string, 0, len(known))
	for at := range known {
		deployments = append(deployments, at)
	}
	slices.Sort(deployments)
	d.unique("pools", len(pools), func(i int) string { return pools[i].Name })
	models := map[string]string{}
	for _, p := range pools {
		models[p.Name] = p.Name
	}
	owner := map[string]string{}
	for i, p := range pools {
		for j, m := range p.Models {
			path := fmt.Sprintf("pools[%d].models[%d]", i, j)
			if of, taken := models[m]; taken {
				d.addAt(path, fmt.Sprintf("%s already selects the pool %s", d.shown(path, m), of), "remove one")
			} else if m != "" && !namePattern.MatchString(m) {
				d.addAt(path, d.shown(path, m)+" is not a valid name", "use up to 128 printable ASCII characters without spaces")
			}
			models[m] = p.Name
		}
		d.tiers(p, fmt.Sprintf("pools[%d].tiers", i), owner, deployments)
	}
}

// tiers checks the deployments of one pool. Owner tells which pool has taken
// which deployment.
func (d *decoder) tiers(p Pool, path string, owner map[string]string, deployments []string) {
	for i, tier := range p.Tiers {
		at := fmt.Sprintf("%s[%d]", path, i)
		if len(tier) == 0 {
			d.addAt(at, "the tier is empty", "remove it")
		}
		for j, ref := range tier {
			of, taken := owner[ref]
			switch path := fmt.Sprintf("%s[%d]", at, j); {
			case !taken:
				d.oneOf(path, "deployment", ref, deployments)
				owner[ref] = p.Name
			case of == p.Name:
				d.addAt(path, d.shown(path, ref)+" is already in this pool", "remove one")
			default:
				d.addAt(path, fmt.Sprintf("%s is already in the pool %s", d.shown(path, ref), of),
					fmt.Sprintf("a deployment belongs to one pool, which meters it; to serve %s from it as well, add %[1]s to that pool's models", p.Name))
			}
		}
	}
}

// classes checks the classes and lists their names.
func (d *decoder) classes(classes []Class) []string {
	d.unique("classes", len(classes), func(i int) string { return classes[i].Name })
	list := make([]string, len(classes))
	for i, c := range classes {
		list[i] = c.Name
		path := fmt.Sprintf("classes[%d].", i)
		d.window(path+"window", c.Window, c)
		d.window(path+"stream_window", c.StreamWindow, c)
		if c.Budget.HardCap && c.Budget.MaxOutputTokens == 0 {
			d.addAt(path+"budget.hard_cap", "has no cap to apply", "add max_output_tokens")
		}
	}
	return list
}

// window checks that a window leaves time to answer in.
func (d *decoder) window(path string, window time.Duration, c Class) {
	if window == 0 {
		return
	}
	if window <= c.Budget.Margin {
		d.addAt(path, fmt.Sprintf("%s is not longer than budget.margin, %s", formatDuration(window), formatDuration(c.Budget.Margin)),
			"increase the window, or reduce the margin")
	}
	if c.TTFT > window {
		d.addAt(path, fmt.Sprintf("%s is shorter than the objective ttft, %s", formatDuration(window), formatDuration(c.TTFT)), "")
	}
}

func (d *decoder) callers(c *Config, classes []string) {
	d.unique("callers", len(c.Callers), func(i int) string { return c.Callers[i].Name })
	if len(c.Callers) == 0 && c.Anonymous == "" {
		d.addAt("callers", "no requests are allowed", "add a caller with a key, or set the class of requests without a key: anonymous: <class>")
	}
	owner := map[Secret]string{}
	for i, caller := range c.Callers {
		path := fmt.Sprintf("callers[%d].", i)
		d.oneOf(path+"class", "class", caller.Class, classes)
		if caller.Key == "" && len(caller.Keys) == 0 {
			d.addAt(path+"key", "the caller has no key", "add key: \"${env:NAME}\"")
		}
		d.key(path+"key", caller.Key, caller.Name, owner)
		for j, key := range caller.Keys {
			d.key(fmt.Sprintf("%skeys[%d]", path, j), key, caller.Name, owner)
		}
	}
}

// key checks one key of a caller. Owner tells whose each key is.
func (d *decoder) key(path string, key Secret, caller string, owner map[Secret]string) {
	if key == "" {
		return
	}
	if of, taken := owner[key]; taken {
		d.addAt(path, fmt.Sprintf("is already a key of %q", of), "use a different key for each caller")
	}
	owner[key] = caller
	d.header(path, key)
}
