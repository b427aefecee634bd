package kql

import "strings"

// azureColumn is a column of one of Azure's tables, and the SQL that makes it
// of the record store; "" where nothing there says it.
type azureColumn struct {
	name string
	typ  Type
	sql  string
}

// azureTable is one of Azure's tables, and what its rows are made of.
type azureTable struct {
	name    string
	columns []azureColumn
	from    string
	time    string // as of Table
}

// Azure are the tables of Azure Monitor that queries about API Management and
// Azure OpenAI read, as views over the record store. docs/QUERY.md describes
// what each column has.
func Azure() []Table {
	var all []Table
	for _, t := range azureTables() {
		one := Table{Name: t.name, Time: t.time}
		for _, col := range t.columns {
			one.Columns = append(one.Columns, Column{col.name, col.typ})
		}
		all = append(all, one)
	}
	return all
}

// AzureView is the SQL that makes one of Azure's tables of requests and
// attempts; "" for another name.
func AzureView(name string) string {
	for _, t := range azureTables() {
		if t.name != name {
			continue
		}
		list := make([]string, len(t.columns))
		for i, col := range t.columns {
			sql := col.sql
			if sql == "" {
				sql = "CAST(NULL AS " + strings.Replace(sqlTypes[col.typ], "JSON", "VARCHAR", 1) + ")"
			}
			list[i] = sql + " AS " + quote(col.name)
		}
		return "SELECT " + strings.Join(list, ", ") + " FROM " + t.from
	}
	return ""
}

func azureTables() []azureTable {
	return []azureTable{
		{"ApiManagementGatewayLogs", gatewayColumns(), `(SELECT *, "attempts"[-1] AS "last" FROM "requests")`, "TimeGenerated"},
		{"ApiManagementGatewayLlmLog", llmColumns(), `"requests" WHERE "prompt_tokens" IS NOT NULL AND "status" = 200`, "TimeGenerated"},
		{"AzureDiagnostics", diagnosticsColumns(), `"attempts"`, "TimeGenerated"},
		{"AzureMetrics", metricColumns(), metricRows, ""},
	}
}

// every table of Azure Monitor has these.
func monitored(table string) []azureColumn {
	return []azureColumn{
		{"TenantId", String, ""},
		{"SourceSystem", String, "'Azure'"},
		{"Type", String, quoteString(table)},
		{"_ResourceId", String, `concat('/spillway/', "pool")`},
		{"_SubscriptionId", String, ""},
		{"_BilledSize", Real, ""},
		{"_IsBillable", String, ""},
	}
}

func gatewayColumns() []azureColumn {
	return append([]azureColumn{
		{"TimeGenerated", Datetime, `"time"`},
		{"Timestamp", Datetime, `"time"`},
		{"CorrelationId", String, `"id"`},
		{"ResponseCode", Long, `coalesce("status", 0)`},
		{"IsRequestSuccess", Bool, `coalesce("status", 0) BETWEEN 200 AND 399`},
		{"TotalTime", Long, `CAST(round("e2e_ms") AS BIGINT)`},
		{"BackendResponseCode", Long, `nullif("last"."status", 0)`},
		{"BackendTime", Long, `CAST(round("last"."end_ms" - "last"."start_ms") AS BIGINT)`},
		{"ClientTime", Long, ""},
		{"BackendId", String, `"deployment"`},
		{"BackendUrl", String, `CASE WHEN "deployment" <> '' THEN concat('https://', "deployment", '/openai/deployments/', "model") ELSE '' END`},
		{"BackendMethod", String, "'POST'"},
		{"BackendProtocol", String, "'HTTP/1.1'"},
		{"Method", String, "'POST'"},
		{"Url", String, `"route"`},
		{"ApiId", String, `"pool"`},
		{"ApiRevision", String, ""},
		{"OperationId", String, `"api"`},
		{"OperationName", String, `"api"`},
		{"Category", String, "'GatewayLogs'"},
		{"ApimSubscriptionId", String, `"caller"`},
		{"ProductId", String, `"tenant"`},
		{"UserId", String, ""},
		{"Region", String, `"region"`},
		{"WorkspaceId", String, ""},
		{"CallerIpAddress", String, ""},
		{"ClientProtocol", String, ""},
		{"ClientTlsVersion", String, ""},
		{"Cache", String, "'none'"},
		{"CacheTime", Long, ""},
		{"RequestSize", Long, ""},
		{"ResponseSize", Long, ""},
		{"RequestBody", String, ""},
		{"ResponseBody", String, ""},
		{"BackendRequestBody", String, ""},
		{"BackendResponseBody", String, ""},
		{"RequestHeaders", Dynamic, `CAST(json_object('x-stainless-retry-count', CAST("client_retry" AS VARCHAR)) AS VARCHAR)`},
		{"ResponseHeaders", Dynamic, ""},
		{"BackendRequestHeaders", Dynamic, ""},
		{"BackendResponseHeaders", Dynamic, `CAST(json_object('x-ms-region', "region", 'azure-openai-deployment-utilization', CASE WHEN "utilization_ratio" IS NOT NULL THEN concat(round(100 * "utilization_ratio", 1), '%') END) AS VARCHAR)`},
		{"TraceRecords", Dynamic, ""},
		{"Errors", Dynamic, ""},
		{"LastErrorReason", String, `CASE WHEN "outcome" <> 'ok' THEN coalesce(nullif("refusal", ''), "outcome") ELSE '' END`},
		{"LastErrorMessage", String, `CASE WHEN "outcome" <> 'ok' THEN "outcome" ELSE '' END`},
		{"LastErrorSource", String, ""},
		{"LastErrorScope", String, ""},
		{"LastErrorSection", String, `CASE WHEN "outcome" = 'ok' THEN '' WHEN "refusal" <> '' THEN 'inbound' ELSE 'backend' END`},
		{"LastErrorElapsed", Long, ""},
		{"IsMasterTrace", Bool, ""},
		{"IsTraceAllowed", Bool, ""},
		{"IsTraceExpired", Bool, ""},
		{"IsTraceRequested", Bool, ""},
	}, monitored("ApiManagementGatewayLogs")...)
}

func llmColumns() []azureColumn {
	return append([]azureColumn{
		{"TimeGenerated", Datetime, `"time"`},
		{"CorrelationId", String, `"id"`},
		{"SequenceNumber", Long, "0"},
		{"PromptTokens", Long, `"prompt_tokens"`},
		{"CompletionTokens", Long, `"completion_tokens"`},
		{"TotalTokens", Long, `"prompt_tokens" + coalesce("completion_tokens", 0)`},
		{"DeploymentName", String, `"deployment"`},
		{"ModelName", String, `"model"`},
		{"IsStreamCompletion", Bool, `"stream"`},
		{"OperationName", String, `"api"`},
		{"OperationId", String, `"api"`},
		{"ApiId", String, `"pool"`},
		{"Category", String, "'GatewayLlmLogs'"},
		{"RequestId", String, `"id"`},
		{"Region", String, `"region"`},
		{"BackendId", String, `"deployment"`},
		{"RequestMessages", Dynamic, ""},
		{"ResponseMessages", Dynamic, ""},
	}, monitored("ApiManagementGatewayLlmLog")...)
}

// diagnosticsColumns are those of the service log, and those that a gateway
// log has in that table, which an import can fill.
func diagnosticsColumns() []azureColumn {
	all := []azureColumn{
		{"TimeGenerated", Datetime, `"request_time"`},
		{"CorrelationId", String, `"request_id"`},
		{"Category", String, "'RequestResponse'"},
		{"ResourceProvider", String, "'MICROSOFT.COGNITIVESERVICES'"},
		{"ResourceType", String, "'ACCOUNTS'"},
		{"Resource", String, `upper("deployment")`},
		{"ResourceId", String, `concat('/spillway/', "deployment")`},
		{"ResourceGroup", String, ""},
		{"SubscriptionId", String, ""},
		{"OperationName", String, "'ChatCompletions_Create'"},
		{"OperationVersion", String, ""},
		{"ResultType", String, ""},
		{"ResultSignature", String, `CAST(nullif("status", 0) AS VARCHAR)`},
		{"ResultDescription", String, `"failure"`},
		{"DurationMs", Long, `CAST(round("end_ms" - "start_ms") AS BIGINT)`},
		{"CallerIPAddress", String, ""},
		{"Level", String, ""},
		{"location_s", String, `"region"`},
		{"event_s", String, "'ShoeboxCallResult'"},
		{"properties_s", String, `CAST(json_object('modelDeploymentName', "deployment", 'modelName', "model", 'objectId', "caller", 'generatedTokens', "tokens") AS VARCHAR)`},
		{"_ResourceId", String, `concat('/spillway/', "deployment")`},
		{"TenantId", String, ""},
		{"SourceSystem", String, "'Azure'"},
		{"Type", String, "'AzureDiagnostics'"},
		{"_BilledSize", Real, ""},
		{"_IsBillable", String, ""},
		{"_SubscriptionId", String, ""},
		{"isRequestSuccess_b", Bool, ""},
	}
	for name := range strings.FieldsSeq("method_s url_s apiId_s apiRevision_s operationId_s productId_s userId_s apimSubscriptionId_s backendId_s backendUrl_s backendMethod_s " +
		"backendProtocol_s cache_s clientProtocol_s clientTlsVersion_s requestHeaders_s responseHeaders_s backendRequestHeaders_s backendResponseHeaders_s " +
		"lastError_reason_s lastError_message_s lastError_source_s lastError_scope_s lastError_section_s errors_s traceRecords_s") {
		all = append(all, azureColumn{name, String, ""})
	}
	for name := range strings.FieldsSeq("responseCode_d backendResponseCode_d totalTime_d backendTime_d clientTime_d cacheTime_d requestSize_d responseSize_d lastError_elapsed_d") {
		all = append(all, azureColumn{name, Real, ""})
	}
	return all
}

func metricColumns() []azureColumn {
	return []azureColumn{
		{"TimeGenerated", Datetime, `"at"`},
		{"MetricName", String, `"metric"`},
		{"Total", Real, `"total"`},
		{"Count", Real, `"count"`},
		{"Average", Real, `"average"`},
		{"Maximum", Real, `"maximum"`},
		{"Minimum", Real, `"minimum"`},
		{"UnitName", String, `"unit"`},
		{"TimeGrain", String, "'PT1M'"},
		{"Resource", String, `upper("deployment")`},
		{"ResourceId", String, `concat('/spillway/', "deployment")`},
		{"ResourceProvider", String, "'MICROSOFT.COGNITIVESERVICES'"},
		{"ResourceGroup", String, ""},
		{"SubscriptionId", String, ""},
		{"_ResourceId", String, `concat('/spillway/', "deployment")`},
		{"TenantId", String, ""},
		{"SourceSystem", String, "'Azure'"},
		{"Type", String, "'AzureMetrics'"},
		{"_BilledSize", Real, ""},
		{"_IsBillable", String, ""},
		{"_SubscriptionId", String, ""},
	}
}

// metricRows has the metrics of each deployment by minute.
const metricRows = `(SELECT date_trunc('minute', "time") AS "at", "deployment", "metric", "unit", sum("value") AS "total", CAST(count("value") AS DOUBLE) AS "count", ` +
	`avg("value") AS "average", max("value") AS "maximum", min("value") AS "minimum" FROM (` +
	`SELECT "time", "deployment", unnest(['AzureOpenAIRequests', 'ProcessedPromptTokens', 'GeneratedTokens', 'AzureOpenAIProvisionedManagedUtilizationV2']) AS "metric", ` +
	`unnest(['Count', 'Count', 'Count', 'Percent']) AS "unit", unnest([1.0::DOUBLE, CAST("prompt_tokens" AS DOUBLE), CAST("completion_tokens" AS DOUBLE), 100 * "utilization_ratio"]) AS "value" ` +
	`FROM "requests" WHERE "deployment" <> '') WHERE "value" IS NOT NULL GROUP BY ALL)`
