// Reads {tables: {name: schema}, queries: [text]} from standard input and
// writes, for each query, what Microsoft's parser finds wrong with it on those
// tables: an array of arrays of messages.
require('@kusto/language-service-next/bridge.min');
require('@kusto/language-service-next/Kusto.Language.Bridge.min');
const { KustoCode, GlobalState, Symbols } = Kusto.Language;

const input = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const tables = Object.entries(input.tables).map(([name, schema]) => Symbols.TableSymbol.From(schema).WithName(name));
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor('spillway', tables));
const problems = input.queries.map((text) =>
  Bridge.toArray(KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics())
    .map((d) => `${d.Severity} at ${d.Start}, ${JSON.stringify(text.substr(d.Start, d.Length))}: ${d.Message}`));
process.stdout.write(JSON.stringify(problems));
