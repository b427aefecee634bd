package config

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scalarError is why a text is not a value of its type. The message follows
// the text itself in print.
type scalarError struct{ message, fix string }

// setScalar parses text as v's type and sets v to it.
func setScalar(v reflect.Value, text string) *scalarError {
	switch v.Type() {
	case durationType:
		d, err := time.ParseDuration(text)
		if err != nil {
			return durationError(text)
		}
		v.SetInt(int64(d))
		return nil
	case bytesType:
		n, ok := parseBytes(text)
		if !ok {
			return &scalarError{"is not a size", "write a whole number of bytes, or one of KiB, MiB, GiB, kB, MB, GB, such as 64KiB"}
		}
		v.SetInt(int64(n))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		return setBool(v, text)
	case reflect.Int:
		n, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
		if err != nil {
			return &scalarError{"is not a whole number", wholeNumberFix(text)}
		}
		v.SetInt(int64(n))
	case reflect.Float64:
		f, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return &scalarError{"is not a number", percentFix(text)}
		}
		v.SetFloat(f)
	case reflect.Slice: // of strings, as only defaults are written
		v.Set(reflect.ValueOf(strings.Split(text, ", ")))
	default:
		panic("config: no scalar of type " + v.Type().String()) // a test reads every type
	}
	return nil
}

func durationError(text string) *scalarError {
	if n, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) {
		return &scalarError{"has no unit", fmt.Sprintf("write %ss for seconds, or %sms for milliseconds", text, text)}
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil {
			return &scalarError{"is not a duration", fmt.Sprintf("days are written in hours: %dh", n*24)}
		}
	}
	return &scalarError{"is not a duration", "write a number with one of the units ms, s, m, h, such as 60s or 1m30s"}
}

func setBool(v reflect.Value, text string) *scalarError {
	switch text {
	case "true", "false":
		v.SetBool(text == "true")
		return nil
	}
	switch strings.ToLower(text) {
	case "yes", "on", "true", "1", "y":
		return &scalarError{"is not true or false", "did you mean true?"}
	case "no", "off", "false", "0", "n":
		return &scalarError{"is not true or false", "did you mean false?"}
	}
	return &scalarError{"is not true or false", ""}
}

// wholeNumberFix suggests the whole number that was meant, as in 2e6 or 2M.
func wholeNumberFix(text string) string {
	factor := 1.0
	switch digits := strings.TrimRight(text, "kKmM"); text[len(digits):] {
	case "k", "K":
		text, factor = digits, 1e3
	case "m", "M":
		text, factor = digits, 1e6
	}
	f, err := strconv.ParseFloat(text, 64)
	if f *= factor; err != nil || f != math.Trunc(f) || math.Abs(f) > 1e15 {
		return ""
	}
	return fmt.Sprintf("did you mean %.0f?", f)
}

// percentFix suggests the fraction of a percentage.
func percentFix(text string) string {
	if digits, ok := strings.CutSuffix(text, "%"); ok {
		if f, err := strconv.ParseFloat(strings.TrimSpace(digits), 64); err == nil {
			return fmt.Sprintf("did you mean %s?", formatFloat(f/100))
		}
	}
	return ""
}

// byteUnits are the suffixes of sizes, the longer ones first. It is constant.
var byteUnits = [...]struct {
	suffix string
	bytes  Bytes
}{
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"GB", 1e9},
	{"MB", 1e6},
	{"kB", 1e3},
	{"B", 1},
}

// parseBytes reads a size that is not negative.
func parseBytes(text string) (Bytes, bool) {
	unit := Bytes(1)
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok {
			text, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/int64(unit) {
		return 0, false
	}
	return Bytes(n) * unit, true
}

// String writes the size with the largest binary unit that divides it.
func (b Bytes) String() string {
	for _, u := range byteUnits[:3] {
		if b != 0 && b%u.bytes == 0 {
			return strconv.FormatInt(int64(b/u.bytes), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// formatDuration writes a duration without the zero units at its end.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func formatFloat(f float64) string {
	return strconv.FormatFloat(math.Round(f*1e9)/1e9, 'f', -1, 64)
}

// formatScalar writes v as it may stand in the file. Secrets are masked.
func formatScalar(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return formatDuration(x)
	case fmt.Stringer: // Bytes, Secret
		return x.String()
	case float64:
		return formatFloat(x)
	case []string:
		return strings.Join(x, ", ")
	}
	return fmt.Sprint(v.Interface())
}

// fewWords is how many allowed words an error lists in any case.
const fewWords = 8

// check tests a parsed value against the option's words and bounds.
func (o option) check(v reflect.Value) *scalarError {
	if o.required && v.Kind() == reflect.String && v.String() == "" {
		return &scalarError{"is empty", "this option is required"}
	}
	if word := v.String(); len(o.enum) > 0 && !slices.Contains(o.enum, word) {
		if len(o.enum) > fewWords {
			return &scalarError{"is not an allowed value", suggest(word, o.enum)}
		}
		return &scalarError{"is not one of " + strings.Join(o.enum, ", "), likeliest(word, o.enum)}
	}
	if o.min != "" && compare(v, o.min) < 0 {
		return &scalarError{"is less than " + o.min, ""}
	}
	if o.max != "" && compare(v, o.max) > 0 {
		return &scalarError{"is more than " + o.max, o.fractionFix(v)}
	}
	return nil
}

// fractionFix suggests the fraction where a percentage was given.
func (o option) fractionFix(v reflect.Value) string {
	if v.Kind() == reflect.Float64 && v.Float() <= 100 {
		return fmt.Sprintf("this is a fraction: did you mean %s?", formatFloat(v.Float()/100))
	}
	return ""
}

// likeliest is the suggestion for a wrong word, or "" when none is like it.
func likeliest(word string, candidates []string) string {
	if s := suggest(word, candidates); strings.HasPrefix(s, "did") {
		return s
	}
	return ""
}

// compare compares v with a bound.
func compare(v reflect.Value, bound string) int {
	b := reflect.New(v.Type()).Elem()
	if err := setScalar(b, bound); err != nil {
		panic("config: bound " + bound + ": " + err.message) // a test reads every tag
	}
	if v.Kind() == reflect.Float64 {
		return cmp.Compare(v.Float(), b.Float())
	}
	return cmp.Compare(v.Int(), b.Int())
}
