package admit

// callers holds the places of each caller under small numbers, so that names
// are compared once. A number is free again when its caller holds no place.
type callers struct {
	ids  map[string]int32
	list []caller
	free []int32
}

type caller struct {
	name   string
	places order
}

// noCaller is the number of a caller that holds no place.
const noCaller = -1

// find is the caller's number, or noCaller.
func (c *callers) find(name string) int32 {
	if id, ok := c.ids[name]; ok {
		return id
	}
	return noCaller
}

// held is how many places a caller has.
func (c *callers) held(id int32) int {
	if id == noCaller {
		return 0
	}
	return c.list[id].places.len()
}

// add is the number of a caller that is about to get a place.
func (c *callers) add(name string) int32 {
	id := c.find(name)
	if id == noCaller {
		if len(c.free) == 0 {
			c.free = append(c.free, int32(len(c.list)))
			c.list = append(c.list, caller{})
		}
		id = c.free[len(c.free)-1]
		c.free = c.free[:len(c.free)-1]
		c.list[id].name, c.ids[name] = name, id
	}
	return id
}

// release frees the number of a caller that holds no place any more.
func (c *callers) release(id int32) {
	if l := &c.list[id]; l.places.len() == 0 {
		delete(c.ids, l.name)
		l.name = ""
		c.free = append(c.free, id)
	}
}
