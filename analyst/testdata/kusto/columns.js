// Reads {table: columns of requests as a schema, commands: [text], query: text}
// from standard input and writes what Microsoft's parser finds wrong with the
// commands and the query, and the columns that the query answers with.
require('@kusto/language-service-next/bridge.min');
require('@kusto/language-service-next/Kusto.Language.Bridge.min');
const { KustoCode, GlobalState, Symbols } = Kusto.Language;

const input = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const table = Symbols.TableSymbol.From(input.table).WithName('requests');
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor('spillway', [table]));
const problems = (text, code) => Bridge.toArray(code.GetDiagnostics())
  .map((d) => `${d.Severity} at ${d.Start}, ${JSON.stringify(text.substr(d.Start, d.Length))}: ${d.Message}`);
const query = KustoCode.ParseAndAnalyze(input.query, globals);
process.stdout.write(JSON.stringify({
  problems: [...input.commands, input.query].map((text) => problems(text, KustoCode.ParseAndAnalyze(text, globals))),
  columns: Bridge.toArray(query.ResultType.Columns).map((c) => `${c.Name}:${c.Type.Name}`),
}));
