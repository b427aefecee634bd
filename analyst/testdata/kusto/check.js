// Reads {tables: {name: schema}, queries: [text]} from standard input and
// writes, for each query, what Microsoft's parser makes of it on those tables:
// problems, an array of messages, and columns, an array of "name:type".
require('@kusto/language-service-next/bridge.min');
require('@kusto/language-service-next/Kusto.Language.Bridge.min');
const { KustoCode, GlobalState, Symbols } = Kusto.Language;

const input = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const tables = Object.entries(input.tables).map(([name, schema]) => Symbols.TableSymbol.From(schema).WithName(name));
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor('spillway', tables));
const answers = input.queries.map((text) => {
  const code = KustoCode.ParseAndAnalyze(text, globals);
  return {
    problems: Bridge.toArray(code.GetDiagnostics())
      .map((d) => `${d.Severity} at ${d.Start}, ${JSON.stringify(text.substr(d.Start, d.Length))}: ${d.Message}`),
    columns: Bridge.toArray(code.ResultType?.Columns ?? []).map((c) => `${c.Name}:${c.Type.Name}`),
  };
});
process.stdout.write(JSON.stringify(answers));
