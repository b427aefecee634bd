// Package kql translates queries in the Kusto query language into SQL for
// DuckDB. It is pure: text and a schema in, text out.
//
// A query can only read the tables that it is translated against. Every name in
// the SQL is a column or table of the schema, or one that the query itself
// introduced, always quoted; every string is a quoted literal; and every
// function comes from the tables of this package.
//
// SQL types of the Kusto types: long is BIGINT, real DOUBLE, string VARCHAR that
// is never null, datetime TIMESTAMP in UTC, timespan BIGINT of microseconds,
// dynamic JSON.
package kql
