package imports

import (
	"bufio"
	"encoding/json"
	"strings"
)

// series is a metric of one deployment, as far as the export says of which.
type series struct {
	metric     string
	deployment string // or a text that has its name in it
	account    string
	loose      bool // deployment is such a text
	column     int  // of a wide CSV
}

// sample is one value of a metric of utilization.
type sample struct {
	series series
	at     int64 // µs
	ratio  float64
	most   float64 // the highest within its time; the ratio where that is unknown
}

// utilization says whether a metric is one of a provisioned deployment's
// utilization, and whether it is the deprecated one.
func utilization(metric string) (is, old bool) {
	name := plain(metric)
	if !strings.Contains(name, "utilization") || !strings.Contains(name, "provisioned") {
		return false, false
	}
	return true, strings.Contains(name, "managed") && !strings.Contains(name, "v2")
}

// wideSeries are the columns of a CSV that the portal's charts give: a time,
// and a column for each line of the chart; nil where none is of utilization.
func wideSeries(names []string, time int, above string) []series {
	var all []series
	whole, _ := utilization(above)
	for i, name := range names {
		if i == time {
			continue
		}
		if here, _ := utilization(name); here || whole {
			metric := name
			if !here {
				metric = "ProvisionedUtilization"
			}
			all = append(all, series{metric: metric, deployment: name + " " + above, loose: true, column: i})
		}
	}
	return all
}

// response is that of the metrics API.
type answer struct {
	ResourceRegion string
	Value          []struct {
		ID         string
		Name       struct{ Value string }
		TimeSeries []struct {
			MetadataValues []struct {
				Name  struct{ Value string }
				Value string
			}
			Data []struct {
				TimeStamp string
				Average   *float64
				Maximum   *float64
			}
		}
	}
}

// readMetrics reads the metrics API's response, or several one after the other,
// a row for each point in time.
func (f *file) readMetrics(in *bufio.Reader, each func(*row, error) error) error {
	d := json.NewDecoder(in)
	for d.More() {
		var a answer
		if err := d.Decode(&a); err != nil {
			return unexpectedEnd(err)
		}
		for _, m := range a.Value {
			for _, s := range m.TimeSeries {
				var one row
				one.values[colMetric] = m.Name.Value
				id, _, _ := strings.Cut(m.ID, "/providers/Microsoft.Insights/")
				one.values[colResource] = id
				for _, v := range s.MetadataValues {
					if p, ok := f.aliases[plain(v.Name.Value)]; ok && (p.column == colDeployment || p.column == colRegion) {
						one.values[p.column] = v.Value
					}
				}
				for _, point := range s.Data {
					f.line++
					one.values[colTime] = point.TimeStamp
					one.values[colAverage], one.values[colMaximum] = decimal(point.Average), decimal(point.Maximum)
					if err := each(&one, nil); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func decimal(v *float64) string {
	if v == nil {
		return ""
	}
	text, _ := json.Marshal(*v) // it came out of JSON
	return string(text)
}

// metric passes the row's samples of utilization on, one for each series.
func (f *file) metric(r *row, n *names, take func(sample)) (bool, error) {
	at, err := f.clock.parse(r.values[colTime])
	if err != nil {
		return false, err
	}
	add := func(s series, text, most string) error {
		v, err := number(text, f.semicolons())
		if err != nil || v < 0 {
			return err
		}
		high, err := number(most, f.semicolons())
		take(sample{s, at.UnixMicro(), v / 100, max(v, high) / 100})
		return err
	}
	if f.wide != nil {
		for _, s := range f.wide {
			if err := add(s, r.cells[s.column], ""); err != nil {
				return false, err
			}
		}
		return true, nil
	}
	if is, _ := utilization(r.values[colMetric]); !is {
		return false, nil
	}
	value := r.values[colAverage]
	if value == "" {
		value = r.values[colMaximum]
	}
	return true, add(series{
		metric: n.name(n.id(r.values[colMetric])), deployment: n.name(n.id(r.values[colDeployment])), account: n.name(n.id(resourceOf(r.values[colResource]))),
	}, value, r.values[colMaximum])
}
