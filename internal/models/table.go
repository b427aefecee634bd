package models

// FiguresAsOf is when the figures of the table were in force.
const FiguresAsOf = "September 2026"

// table is constant. Sources: capacity and ratios from Microsoft's sizing page for
// provisioned throughput, September 2026; latency targets and units of sale from
// "Provisioned throughput unit (PTU) costs and onboarding", April 2026.
//
// gpt-4o-mini: the page of December 2024, and the worked sizing examples that
// are still published, have a ratio of 3.
//
// No latency target was found for 5.1-codex, 5.2-codex, 5.4-mini, the 5.6 models and
// the GPT-6 models. The units of sale of models of their size stand in.
//
// Cached input costs nothing, except of the GPT-6 models, where it weighs a tenth.
//
// The targets of gpt-4o, gpt-4o-mini, o3-mini and o1 are averages per minute
// over a month, the others medians per five minutes: neither is a promise for
// each request.
var table = [...]Model{
	{"gpt-4o-mini", 37_000, 4, 0, 33, Purchase{15, 5}, Purchase{25, 25}},
	{"gpt-4o", 2_500, 4, 0, 25, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-4.1", 3_000, 4, 0, 80, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-4.1-mini", 14_900, 4, 0, 90, Purchase{15, 5}, Purchase{25, 25}},
	{"gpt-4.1-nano", 59_400, 4, 0, 100, Purchase{15, 5}, Purchase{25, 25}},
	{"gpt-5", 4_750, 8, 0, 50, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-5.1", 4_750, 8, 0, 50, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-5.1-codex", 4_750, 8, 0, 0, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-5-mini", 23_750, 8, 0, 80, Purchase{15, 5}, Purchase{25, 25}},
	{"gpt-5.2", 3_400, 8, 0, 50, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-5.2-codex", 3_400, 8, 0, 0, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-5.3-codex", 3_400, 8, 0, 50, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-5.4", 2_400, 6, 0, 50, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-5.4-mini", 7_900, 6, 0, 0, Purchase{15, 5}, Purchase{25, 25}},
	{"gpt-5.5", 1_200, 6, 0, 100, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-5.6-luna", 30_000, 6, 0, 0, Purchase{15, 5}, Purchase{25, 25}},
	{"gpt-5.6-terra", 3_000, 6, 0, 0, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-5.6-sol", 1_200, 6, 0, 0, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-6-sol", 3_000, 5, 0.1, 0, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-6-astra", 600, 5, 0.1, 0, Purchase{15, 5}, Purchase{50, 50}},
	{"o3", 3_000, 4, 0, 80, Purchase{15, 5}, Purchase{50, 50}},
	{"o4-mini", 5_400, 4, 0, 90, Purchase{15, 5}, Purchase{25, 25}},
	{"o3-mini", 2_500, 4, 0, 66, Purchase{15, 5}, Purchase{25, 25}},
	{"o1", 230, 4, 0, 25, Purchase{15, 5}, Purchase{25, 50}},
}
