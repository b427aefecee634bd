package admit

import "slices"

// order lists places of the queue in the order in which they are served. Most
// are inserted and removed at one of its ends, which moves no other.
type order struct {
	list []int32
	head int // index of the first place; the space before it is free
}

func (o *order) len() int       { return len(o.list) - o.head }
func (o *order) at(i int) int32 { return o.list[o.head+i] }
func (o *order) last() int32    { return o.list[len(o.list)-1] }

// insert puts a place before the i-th, moving the places on the shorter side.
func (o *order) insert(i int, place int32) {
	if i < o.len()/2 {
		if o.head == 0 {
			o.growFront()
		}
		o.head--
		copy(o.list[o.head:], o.list[o.head+1:o.head+1+i])
		o.list[o.head+i] = place
		return
	}
	if len(o.list) == cap(o.list) && o.head > o.len() {
		o.list = o.list[:copy(o.list, o.list[o.head:])]
		o.head = 0
	}
	o.list = slices.Insert(o.list, o.head+i, place)
}

// growFront makes space at the front, for so many places that it is called rarely.
func (o *order) growFront() {
	n := o.len()
	o.head = n/4 + 1
	o.list = slices.Grow(o.list, o.head)[:n+o.head]
	copy(o.list[o.head:], o.list[:n])
}

// remove removes the i-th, moving the places on the shorter side.
func (o *order) remove(i int) {
	at := o.head + i
	if i >= o.len()/2 {
		o.list = slices.Delete(o.list, at, at+1)
		return
	}
	copy(o.list[o.head+1:], o.list[o.head:at])
	o.head++
}
