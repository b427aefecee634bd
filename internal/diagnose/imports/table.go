package imports

import (
	"fmt"
	"slices"
	"strings"
)

// column is a value that some log has.
type column uint8

const (
	colTime column = iota
	colID
	colCode      // what the gateway answered
	colSignature // what the service answered
	colTook
	colBackendCode
	colBackendTook
	colBackendID
	colBackendURL
	colURL
	colSubscription
	colProduct
	colUser
	colAddress
	colReason
	colHeaders
	colBackendHeaders
	colAnswerHeaders
	colAsk
	colRetry
	colTimeout
	colUtilization
	colBackendRegion
	colCategory
	colOperation
	colProperties
	colResource
	colRegion
	colDeployment
	colModel
	colStream
	colPrompt
	colCompletion
	colCached
	colFirst
	colMetric
	colAverage
	colMaximum
	colCount
)

// names are those that exports give each column, best first, as plain leaves
// them.
func (c column) names() []string {
	return [colCount][]string{
		colTime: {"timegenerated", "time", "timestamp"}, colID: {"correlationid"},
		colCode: {"responsecode"}, colSignature: {"resultsignature"}, colTook: {"totaltime", "durationms"},
		colBackendCode: {"backendresponsecode"}, colBackendTook: {"backendtime"}, colBackendID: {"backendid"}, colBackendURL: {"backendurl"},
		colURL: {"url", "requesturl"}, colSubscription: {"apimsubscriptionid"}, colProduct: {"productid"}, colUser: {"userid", "objectid"},
		colAddress: {"calleripaddress"}, colReason: {"lasterrorreason"},
		colHeaders: {"requestheaders"}, colBackendHeaders: {"backendrequestheaders"}, colAnswerHeaders: {"backendresponseheaders", "responseheaders"},
		colAsk:   {"maxtokens", "maxcompletiontokens", "maxoutputtokens"},
		colRetry: {"retrycount", "xstainlessretrycount"}, colTimeout: {"clienttimeout", "xstainlesstimeout", "xstainlessreadtimeout"},
		colUtilization: {"utilization", "azureopenaideploymentutilization"}, colBackendRegion: {"backendregion", "xmsregion"},
		colCategory: {"category"}, colOperation: {"operationname"}, colProperties: {"properties"},
		colResource: {"resource", "resourceid"}, colRegion: {"region", "location"},
		colDeployment: {"modeldeploymentname", "deploymentname", "deployment"}, colModel: {"modelname", "model"},
		colStream: {"isstreamcompletion", "streamtype", "stream"},
		colPrompt: {"prompttokens", "inputtokens"}, colCompletion: {"completiontokens", "generatedtokens", "outputtokens"}, colCached: {"cachedtokens"},
		colFirst:  {"timetofirsttokenms"},
		colMetric: {"metricname", "metric"}, colAverage: {"average", "avg"}, colMaximum: {"maximum", "max"},
	}[c]
}

// title is what Azure calls the column.
func (c column) title() string {
	return map[column]string{
		colTime: "TimeGenerated", colID: "CorrelationId", colCode: "ResponseCode", colCategory: "Category", colPrompt: "PromptTokens",
		colCompletion: "CompletionTokens", colMetric: "MetricName", colAverage: "Average", colSignature: "ResultSignature",
	}[c]
}

// table is a kind of log.
type table struct {
	name  string
	kind  kind // of its rows, where they do not say it
	needs []column
	marks []column // any of which tells it from others
}

const (
	gatewayTable = "ApiManagementGatewayLogs"
	llmTable     = "ApiManagementGatewayLlmLog"
	serviceTable = "AzureDiagnostics"
	metricTable  = "Azure Monitor metrics"
)

// tables are all that are known, those that others could be taken for last.
func tables() []table {
	return []table{
		{metricTable, kindCount, []column{colTime, colMetric, colAverage}, []column{colMetric}},
		{serviceTable, kindCount, []column{colTime, colID, colCategory}, []column{colProperties, colSignature}},
		{gatewayTable, kindGateway, []column{colTime, colID, colCode}, []column{colCode}},
		{llmTable, kindLLM, []column{colTime, colID, colPrompt, colCompletion}, []column{colPrompt, colCompletion}},
	}
}

// place says which column a name stands for, and how good a name it is: the
// lower, the better.
type place struct {
	column column
	rank   int
}

// aliases are the places of all names.
func aliases() map[string]place {
	all := map[string]place{}
	for c := range colCount {
		for rank, name := range c.names() {
			all[name] = place{c, rank}
		}
	}
	return all
}

// plain is a column's name without what exports add to it and how they write
// it: "TimeGenerated [UTC]" is timegenerated, "lastError_reason_s" is
// lasterrorreason.
func plain(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	for _, zone := range []string{" [", " ("} {
		if i := strings.Index(name, zone); i > 0 {
			name = name[:i]
		}
	}
	if i := len(name) - 2; i > 0 && name[i] == '_' && strings.IndexByte("sdgbt", name[i+1]) >= 0 {
		name = name[:i]
	}
	name = strings.TrimPrefix(strings.TrimPrefix(name, "properties_"), "properties.")
	return strings.NewReplacer("_", "", " ", "", ".", "", "-", "").Replace(name)
}

// recognize finds the table that has columns of these names. The error says
// which is nearest, and what it lacks.
func recognize(names []string) (table, error) {
	var has [colCount]bool
	all := aliases()
	for _, name := range names {
		if p, ok := all[plain(name)]; ok {
			has[p.column] = true
		}
	}
	is := func(c column) bool { return has[c] }
	lacks := func(t table) (out []string) {
		for _, c := range t.needs {
			if !has[c] {
				out = append(out, c.title())
			}
		}
		return out
	}
	for _, t := range tables() {
		if !slices.ContainsFunc(t.marks, is) {
			continue
		}
		if missing := lacks(t); len(missing) > 0 {
			return t, fmt.Errorf("the columns look like %s; missing: %s.\n  found:    %s\n  expected: %s",
				t.name, strings.Join(missing, ", "), listed(names), expected(t))
		}
		return t, nil
	}
	var text strings.Builder
	text.WriteString("the columns match no known log.\n  found:    " + listed(names))
	for _, t := range tables() {
		text.WriteString("\n  expected: " + expected(t))
	}
	return table{}, fmt.Errorf("%s\ndocs/IMPORT.md has the queries that export them", text.String())
}

// expected says what a table must have.
func expected(t table) string {
	var names []string
	for _, c := range t.needs {
		names = append(names, c.title())
	}
	return t.name + " has " + strings.Join(names, ", ")
}

// listed is a list of names that is not too long to read.
func listed(names []string) string {
	const most, longest = 20, 40
	var all []string
	for i, name := range names {
		if i == most {
			all = append(all, fmt.Sprintf("and %d more", len(names)-most))
			break
		}
		if name = strings.ToValidUTF8(name, "?"); len(name) > longest {
			name = strings.ToValidUTF8(name[:longest], "") + "…"
		}
		all = append(all, name)
	}
	return strings.Join(all, ", ")
}
