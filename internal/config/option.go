package config

import (
	"reflect"
	"strings"
	"time"
)

// option is one field of the schema, as its tags describe it.
type option struct {
	name     string
	def      string
	doc      string
	min, max string
	enum     []string
	required bool
	index    int // of the field in its struct
	typ      reflect.Type
}

// options lists the fields of a struct of this package, in their order.
func options(t reflect.Type) []option {
	list := make([]option, 0, t.NumField())
	var owned reflect.Value // the defaults that the group takes from elsewhere
	if d, ok := reflect.Zero(t).Interface().(defaulter); ok {
		owned = reflect.ValueOf(d.defaults())
	}
	for i := range t.NumField() {
		f := t.Field(i)
		o := option{
			name: f.Tag.Get("yaml"), def: f.Tag.Get("default"), doc: f.Tag.Get("doc"),
			min: f.Tag.Get("min"), max: f.Tag.Get("max"),
			required: f.Tag.Get("required") == "true", index: i, typ: f.Type,
		}
		if words := f.Tag.Get("enum"); words != "" {
			o.enum = strings.Split(words, "|")
		}
		if owned.IsValid() && !owned.Field(i).IsZero() {
			o.def = formatScalar(owned.Field(i))
		}
		list = append(list, o)
	}
	return list
}

// names lists the options' names.
func names(list []option) []string {
	out := make([]string, len(list))
	for i, o := range list {
		out[i] = o.name
	}
	return out
}

// The types that are not told apart by their kind. They are constant.
var (
	durationType = reflect.TypeFor[time.Duration]()
	bytesType    = reflect.TypeFor[Bytes]()
	secretType   = reflect.TypeFor[Secret]()
)

// holdsSecrets reports whether a value of the type is, or has somewhere within,
// what must not be printed.
func holdsSecrets(t reflect.Type) bool {
	switch {
	case t == secretType:
		return true
	case t.Kind() == reflect.Pointer, t.Kind() == reflect.Slice:
		return holdsSecrets(t.Elem())
	case t.Kind() == reflect.Struct:
		for field := range t.Fields() {
			if holdsSecrets(field.Type) {
				return true
			}
		}
	}
	return false
}

// fillDefaults sets every field of a new struct to its default, nested structs
// included. Pointers and lists stay nil.
func fillDefaults(v reflect.Value) {
	for _, o := range options(v.Type()) {
		switch field := v.Field(o.index); {
		case field.Kind() == reflect.Struct:
			fillDefaults(field)
		case o.def != "":
			if err := setScalar(field, o.def); err != nil {
				panic("config: default of " + o.name + ": " + err.message) // a test reads every one
			}
		}
	}
}
