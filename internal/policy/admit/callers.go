package admit

// callers counts the places of each caller under small numbers, so that a
// search through the queue compares no strings. A number is free again when
// its caller holds no place.
type callers struct {
	ids    map[string]int32
	names  []string
	places []int
	free   []int32
}

// nobody is the number of a caller that holds no place.
const nobody = -1

// find is the caller's number, or nobody.
func (c *callers) find(name string) int32 {
	if id, ok := c.ids[name]; ok {
		return id
	}
	return nobody
}

// held is how many places a caller has.
func (c *callers) held(id int32) int {
	if id == nobody {
		return 0
	}
	return c.places[id]
}

// add gives a caller one more place and returns its number.
func (c *callers) add(name string) int32 {
	id := c.find(name)
	if id == nobody {
		if len(c.free) == 0 {
			c.free = append(c.free, int32(len(c.names)))
			c.names = append(c.names, "")
			c.places = append(c.places, 0)
		}
		id = c.free[len(c.free)-1]
		c.free = c.free[:len(c.free)-1]
		c.names[id], c.ids[name] = name, id
	}
	c.places[id]++
	return id
}

// remove takes one place back.
func (c *callers) remove(id int32) {
	c.places[id]--
	if c.places[id] == 0 {
		delete(c.ids, c.names[id])
		c.names[id] = ""
		c.free = append(c.free, id)
	}
}
