package models

// FiguresAsOf is when the newest figures of the table were published.
const FiguresAsOf = "September 2026"

// table is constant. Its source is Microsoft's page "Determine PTU sizing for a
// workload", in two versions:
//
//   - of 2026-05-22, as published in the repository of the documentation: every column
//     of every model that is not named below;
//   - of 2026-09-23, as copied by others on the next day: capacity, output ratio and the
//     weight of cached input of gpt-5.4-mini, the gpt-5.6 and the gpt-6 models. It
//     confirms the older version's capacities and ratios. No latency target of these
//     models was found, and the units of sale of models of their size stand in.
//
// gpt-4o-mini: the page of December 2024, and the worked sizing examples that
// are still published, have a ratio of 3.
//
// Cached input costs nothing, except of the GPT-6 models, where it weighs a tenth.
//
// The targets of gpt-4o, gpt-4o-mini, o3-mini, o1, Llama and DeepSeek are averages per
// minute over a month, the others medians per five minutes: neither is a promise for
// each request.
var table = [...]Capacity{
	{"gpt-4o-mini", 37_000, 4, 0, 33, Purchase{15, 5}, Purchase{25, 25}},
	{"gpt-4o", 2_500, 4, 0, 25, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-4.1", 3_000, 4, 0, 80, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-4.1-mini", 14_900, 4, 0, 90, Purchase{15, 5}, Purchase{25, 25}},
	{"gpt-4.1-nano", 59_400, 4, 0, 100, Purchase{15, 5}, Purchase{25, 25}},
	{"gpt-5", 4_750, 8, 0, 50, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-5.1", 4_750, 8, 0, 50, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-5.1-codex", 4_750, 8, 0, 50, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-5-mini", 23_750, 8, 0, 80, Purchase{15, 5}, Purchase{25, 25}},
	{"gpt-5.2", 3_400, 8, 0, 50, Purchase{15, 5}, Purchase{50, 50}},
	{"gpt-5.2-codex", 3_400, 8, 0, 50, Purchase{15, 5}, Purchase{50, 50}},
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
	{"Llama-3.3-70B-Instruct", 8_450, 4, 0, 50, Purchase{100, 100}, Purchase{}},
	{"DeepSeek-R1", 4_000, 4, 0, 50, Purchase{100, 100}, Purchase{}},
	{"DeepSeek-V3-0324", 4_000, 4, 0, 50, Purchase{100, 100}, Purchase{}},
}
