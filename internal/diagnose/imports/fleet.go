package imports

import (
	"maps"
	"slices"
	"strings"
)

// endpoint is where a request went: an Azure resource and a deployment of it,
// either of which may be unknown (-1).
type endpoint struct{ account, deployment int64 }

// fleet is what the logs say of the deployments.
type fleet struct {
	names     *names
	endpoints map[endpoint]*endpointStats
	labels    map[endpoint]label // once all requests are counted
}

// endpointStats is what requests to an endpoint showed.
type endpointStats struct {
	requests    int
	models      map[int64]int
	regions     map[int64]int
	utilization bool
}

// label is how a diagnosis names and describes a deployment.
type label struct {
	name, model, region string
	provisioned         bool
}

func newFleet(n *names) *fleet { return &fleet{names: n, endpoints: map[endpoint]*endpointStats{}} }

// count counts a request at its endpoint.
func (l *fleet) count(p *piece) {
	at := endpoint{p.get(factAccount), p.get(factDeployment)}
	s := l.endpoints[at]
	if s == nil {
		s = &endpointStats{models: map[int64]int{}, regions: map[int64]int{}}
		l.endpoints[at] = s
	}
	s.requests++
	if m := p.get(factModel); m >= 0 {
		s.models[m]++
	}
	if r := p.get(factRegion); r >= 0 {
		s.regions[r]++
	}
	s.utilization = s.utilization || p.knows(factUtilization)
}

// assignLabels completes endpoints that are known in part and names all of them:
// by the deployment, and by its resource too where several resources have a
// deployment of that name. Known deployments get the operator's name.
func (l *fleet) assignLabels(all []Known) {
	accounts, deployments := map[int64][]int64{}, map[int64][]int64{}
	for at := range l.endpoints {
		if at.account >= 0 && at.deployment >= 0 {
			accounts[at.deployment] = append(accounts[at.deployment], at.account)
			deployments[at.account] = append(deployments[at.account], at.deployment)
		}
	}
	full := func(at endpoint) endpoint {
		if at.deployment < 0 && len(deployments[at.account]) == 1 {
			at.deployment = deployments[at.account][0]
		}
		if at.account < 0 && len(accounts[at.deployment]) == 1 {
			at.account = accounts[at.deployment][0]
		}
		return at
	}
	sums := map[endpoint]*endpointStats{}
	for at, s := range l.endpoints {
		sum := sums[full(at)]
		if sum == nil {
			sum = &endpointStats{models: map[int64]int{}, regions: map[int64]int{}}
			sums[full(at)] = sum
		}
		sum.utilization = sum.utilization || s.utilization
		for m, n := range s.models {
			sum.models[m] += n
		}
		for r, n := range s.regions {
			sum.regions[r] += n
		}
	}
	l.labels = map[endpoint]label{}
	for at := range l.endpoints {
		whole := full(at)
		sum := sums[whole]
		one := label{model: l.names.name(most(sum.models)), region: regionOf(l.names.name(most(sum.regions))), provisioned: sum.utilization}
		account, deployment := l.names.name(whole.account), l.names.name(whole.deployment)
		switch {
		case deployment == "":
			one.name = account
		case len(accounts[whole.deployment]) > 1 && account != "":
			one.name = deployment + "@" + account
		default:
			one.name = deployment
		}
		for i := range all {
			if k := &all[i]; strings.EqualFold(k.Deployment, deployment) && accountOf(k.Endpoint) == account && account != "" {
				one.name, one.model, one.provisioned = k.Name, k.Model, k.Provisioned
			}
		}
		l.labels[at] = one
	}
}

// most is the key with the highest count, or -1.
func most(counts map[int64]int) int64 {
	best := int64(-1)
	for _, id := range slices.Sorted(maps.Keys(counts)) {
		if best < 0 || counts[id] > counts[best] {
			best = id
		}
	}
	return best
}

// regionOf writes a region in its short form: East US is eastus.
func regionOf(name string) string { return strings.ToLower(strings.ReplaceAll(name, " ", "")) }

// find returns the name of the deployment that a metric's series belongs to; ""
// where that is ambiguous.
func (l *fleet) find(s series) string {
	var found []string
	best := 0
	for at, one := range l.labels {
		account, deployment := strings.ToLower(l.names.name(at.account)), strings.ToLower(l.names.name(at.deployment))
		want := strings.ToLower(s.deployment)
		fits := 0
		switch {
		case deployment != "" && (want == deployment || s.loose && strings.Contains(want, deployment)):
			fits = 1 + len(deployment)
			if s.loose && account != "" && strings.Contains(want, account) {
				fits += len(account)
			}
		case want == "" || s.loose:
			fits = 1
		}
		if fits > 0 && account != "" && account == s.account {
			fits += 1 << 10
		}
		switch {
		case fits == 0 || fits < best:
		case fits > best:
			best, found = fits, []string{one.name}
		case !slices.Contains(found, one.name):
			found = append(found, one.name)
		}
	}
	if len(found) != 1 {
		return ""
	}
	return found[0]
}

// provision marks deployments of that name as provisioned: they have a metric of
// utilization.
func (l *fleet) provision(name string) {
	for at, one := range l.labels {
		if one.name == name {
			one.provisioned = true
			l.labels[at] = one
		}
	}
}
