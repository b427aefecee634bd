package kql

import "strings"

// dynamicFunctions are the functions of arrays, bags and series. The table is
// constant.
var dynamicFunctions = map[string]function{
	"parse_json": {params: "a", build: buildParseJSON, keep: true}, "todynamic": {params: "a", build: buildParseJSON, keep: true},
	"parsejson": {params: "a", build: buildParseJSON, keep: true}, "toobject": {params: "a", build: buildParseJSON, keep: true},
	"gettype": {params: "a", build: buildGetType},

	"array_length":     {params: "x", result: Long, sql: "CASE WHEN json_type($1) = 'ARRAY' THEN CAST(json_array_length($1) AS BIGINT) END"},
	"strcat_array":     {params: "xs", build: buildStrcatArray},
	"pack_array":       {params: "a*", build: buildPackArray},
	"array_concat":     {params: "x*", build: buildArrayConcat},
	"array_slice":      {params: "xll", build: buildArraySlice},
	"array_sort_asc":   {params: "x", build: buildArraySort("sort")},
	"array_sort_desc":  {params: "x", build: buildArraySort("reverse_sort")},
	"array_reverse":    {params: "x", build: ofItems("to_json(list_reverse(#1))")},
	"array_sum":        {params: "x", result: Real, build: ofNumbers("coalesce(list_sum(#1), 0.0)")},
	"array_index_of":   {params: "xa", build: buildArrayIndexOf},
	"set_has_element":  {params: "xa", build: buildSetHas},
	"set_union":        {params: "xx", build: ofItems("to_json(list_sort(list_distinct(list_concat(#1, #2))))")},
	"set_intersect":    {params: "xx", build: ofItems("to_json(list_sort(list_filter(list_distinct(#1), lambda x: list_contains(#2, x))))")},
	"set_difference":   {params: "xx", build: ofItems("to_json(list_sort(list_filter(list_distinct(#1), lambda x: NOT list_contains(#2, x))))")},
	"bag_keys":         {params: "x", result: Dynamic, sql: "to_json(CASE WHEN json_type($1) = 'OBJECT' THEN json_keys($1) END)"},
	"bag_has_key":      {params: "xs", build: buildBagHasKey},
	"bag_merge":        {params: "xx", result: Dynamic, sql: "CAST(json_merge_patch($2, $1) AS JSON)"},
	"bag_pack":         {params: "sa*", build: buildBagPack},
	"pack":             {params: "sa*", build: buildBagPack},
	"pack_dictionary":  {params: "sa*", build: buildBagPack},
	"bag_pack_columns": {params: "a*", build: buildBagPackColumns},
	"pack_all":         {params: "?b", build: buildPackAll},

	"series_fill_const":    {params: "xn?a", build: ofNumbers("to_json(list_transform(#1, lambda x: coalesce(x, CAST($2 AS DOUBLE))))")},
	"series_fill_forward":  {params: "x", build: ofNumbers("to_json(list_transform(range(1, len(#1) + 1), lambda i: list_filter(list_reverse(#1[1:i]), lambda x: x IS NOT NULL)[1]))")},
	"series_fill_backward": {params: "x", build: ofNumbers("to_json(list_transform(range(1, len(#1) + 1), lambda i: list_filter(#1[i:], lambda x: x IS NOT NULL)[1]))")},
	"series_add":           {params: "xx", build: elementwise("a + b")}, "series_subtract": {params: "xx", build: elementwise("a - b")},
	"series_multiply": {params: "xx", build: elementwise("a * b")}, "series_divide": {params: "xx", build: elementwise("CASE WHEN b <> 0 THEN a / b END")},
	"series_sum":           {params: "x", result: Real, build: ofNumbers("coalesce(list_sum(#1), 0.0)")},
	"series_stats_dynamic": {params: "x", build: buildSeriesStats},
	"series_abs":           {params: "x", build: ofNumbers("to_json(list_transform(#1, lambda x: abs(x)))")},
}

func buildParseJSON(k *called) value {
	if v := k.args[0]; v.typ != String {
		return toDynamic(v)
	}
	return value{sql: jsonOf(k.args[0].sql), typ: Dynamic}
}

// buildGetType names the type of a value.
func buildGetType(k *called) value {
	v := k.args[0]
	if v.typ != Dynamic {
		return value{sql: quoteString(v.typ.String()), typ: String}
	}
	return value{sql: "CASE json_type(" + v.sql + ") WHEN 'ARRAY' THEN 'array' WHEN 'OBJECT' THEN 'dictionary' WHEN 'VARCHAR' THEN 'string' WHEN 'BOOLEAN' THEN 'bool' WHEN 'DOUBLE' THEN 'double' WHEN 'BIGINT' THEN 'long' WHEN 'UBIGINT' THEN 'long' ELSE 'null' END", typ: String}
}

func buildStrcatArray(k *called) value {
	return value{sql: "coalesce(array_to_string(" + texts(k.args[0].sql) + ", " + k.args[1].sql + "), '')", typ: String}
}

func (k *called) packed() []string {
	all := make([]string, len(k.args))
	for i, v := range k.args {
		all[i] = toDynamic(v).sql
	}
	return all
}

func buildPackArray(k *called) value {
	return value{sql: "CAST(json_array(" + strings.Join(k.packed(), ", ") + ") AS JSON)", typ: Dynamic}
}

func buildArrayConcat(k *called) value {
	all := make([]string, len(k.args))
	for i, v := range k.args {
		all[i] = items(v.sql)
	}
	return value{sql: "to_json(list_concat(" + strings.Join(append(all, "[]"), ", ") + "))", typ: Dynamic}
}

// buildArraySlice takes the elements from one place to another, both included;
// negative ones count from the end.
func buildArraySlice(k *called) value {
	list := items(k.args[0].sql)
	place := func(i int) string {
		p := k.args[i].sql
		return "CASE WHEN " + p + " < 0 THEN len(" + list + ") + " + p + " ELSE " + p + " END"
	}
	return value{sql: "to_json(list_slice(" + list + ", greatest(" + place(1) + ", 0) + 1, " + place(2) + " + 1))", typ: Dynamic}
}

// buildArraySort sorts numbers by size, and texts by their letters.
func buildArraySort(how string) func(k *called) value {
	return func(k *called) value {
		list := items(k.args[0].sql)
		number, text := numbers(k.args[0].sql), texts(k.args[0].sql)
		return value{sql: "CASE WHEN len(list_filter(" + list + ", lambda x: json_type(x) NOT IN ('DOUBLE', 'BIGINT', 'UBIGINT'))) = 0 THEN to_json(list_" + how + "(" + number + ")) ELSE to_json(list_" + how + "(" + text + ")) END", typ: Dynamic}
	}
}

func buildArrayIndexOf(k *called) value {
	return value{sql: "(coalesce(list_position(" + texts(k.args[0].sql) + ", " + k.text(1) + "), 0) - 1)", typ: Long}
}

func buildSetHas(k *called) value {
	return value{sql: "coalesce(list_contains(" + texts(k.args[0].sql) + ", " + k.text(1) + "), false)", typ: Bool}
}

func buildBagHasKey(k *called) value {
	return value{sql: "coalesce(list_contains(" + keys(k.args[0].sql) + ", " + k.args[1].sql + "), false)", typ: Bool}
}

func buildBagPack(k *called) value {
	if len(k.args)%2 != 0 {
		k.c.fail(k.e.span, "%s needs pairs of a name and a value", k.e.text)
	}
	all := k.packed()
	for i := 0; i < len(all); i += 2 {
		if k.args[i].typ != String {
			k.fail(i, "%s needs a name here, not a %s", k.e.text, k.args[i].typ)
		}
		all[i] = k.args[i].sql
	}
	return value{sql: "CAST(json_object(" + strings.Join(all, ", ") + ") AS JSON)", typ: Dynamic}
}

func buildBagPackColumns(k *called) value {
	var all []string
	for i, v := range k.packed() {
		if k.args[i].name == "" {
			k.fail(i, "bag_pack_columns needs columns")
		}
		all = append(all, quoteString(k.args[i].name), v)
	}
	return value{sql: "CAST(json_object(" + strings.Join(all, ", ") + ") AS JSON)", typ: Dynamic}
}

func buildPackAll(k *called) value {
	var all []string
	for _, col := range k.scope.columns {
		all = append(all, quoteString(col.Name), toDynamic(value{sql: ident(col.Name), typ: col.Type}).sql)
	}
	return value{sql: "CAST(json_object(" + strings.Join(all, ", ") + ") AS JSON)", typ: Dynamic}
}

// ofItems fills #N with the elements of the N-th argument.
func ofItems(sql string) func(k *called) value { return withLists(sql, items) }

// ofNumbers fills #N with the numbers of the N-th argument.
func ofNumbers(sql string) func(k *called) value { return withLists(sql, numbers) }

func withLists(sql string, list func(string) string) func(k *called) value {
	return func(k *called) value {
		text := fill(sql, k.args)
		for i, v := range k.args {
			if v.typ == Dynamic {
				text = strings.ReplaceAll(text, "#"+itoa(i+1), list(v.sql))
			}
		}
		t := Dynamic
		if strings.HasPrefix(sql, "coalesce(list_sum") {
			t = Real
		}
		return value{sql: text, typ: t}
	}
}

// elementwise computes with the elements of two series in step.
func elementwise(sql string) func(k *called) value {
	return func(k *called) value {
		lists := [2]string{}
		for i, v := range k.args {
			lists[i] = numbers(v.sql)
		}
		one := strings.NewReplacer("a ", "("+lists[0]+")[i] ", " b", " ("+lists[1]+")[i]").Replace(sql)
		return value{sql: "to_json(list_transform(range(1, greatest(len(" + lists[0] + "), len(" + lists[1] + ")) + 1), lambda i: " + one + "))", typ: Dynamic}
	}
}

func buildSeriesStats(k *called) value {
	list := numbers(k.args[0].sql)
	least, most := "list_min("+list+")", "list_max("+list+")"
	at := func(of string) string { return "list_position(" + list + ", " + of + ") - 1" }
	return value{sql: "CAST(json_object('min', " + least + ", 'min_idx', " + at(least) + ", 'max', " + most + ", 'max_idx', " + at(most) +
		", 'avg', list_avg(" + list + "), 'stdev', list_stddev_samp(" + list + "), 'variance', list_var_samp(" + list + ")) AS JSON)", typ: Dynamic}
}
