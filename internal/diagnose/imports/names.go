package imports

import "strings"

// names gives texts numbers, so that pieces can hold those.
type names struct {
	ids map[string]int64
	all []string
}

// maxNames bounds how many texts have numbers of their own.
const maxNames = 1 << 20

func newNames() *names { return &names{ids: map[string]int64{}} }

// id is the number of a name; -1 for none.
func (n *names) id(name string) int64 {
	if name == "" {
		return -1
	}
	if id, ok := n.ids[name]; ok {
		return id
	}
	if len(n.all) >= maxNames {
		name = "(others)"
		if id, ok := n.ids[name]; ok {
			return id
		}
	}
	name = strings.Clone(name) // it is a part of its row
	n.ids[name] = int64(len(n.all))
	n.all = append(n.all, name)
	return n.ids[name]
}

// name is what has that number; "" for -1.
func (n *names) name(id int64) string {
	if id < 0 || id >= int64(len(n.all)) {
		return ""
	}
	return n.all[id]
}
