package azuresim

import "regexp/syntax"

// matching returns a string that matches the pattern, if it is one that can be
// followed.
func matching(pattern string, w *writer) (string, bool) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", false
	}
	b, ok := appendMatch(nil, re.Simplify(), w)
	return string(b), ok
}

// appendMatch appends a match of the expression.
func appendMatch(b []byte, re *syntax.Regexp, w *writer) ([]byte, bool) {
	var ok bool
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText:
	case syntax.OpLiteral:
		b = append(b, string(re.Rune)...)
	case syntax.OpCharClass:
		if len(re.Rune) == 0 {
			return b, false
		}
		pair := w.rand() % uint64(len(re.Rune)/2) * 2
		low, high := re.Rune[pair], re.Rune[pair+1]
		b = append(b, string(low+rune(w.rand()%uint64(min(high-low, 25)+1)))...)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b = append(b, 'a'+byte(w.rand()%26))
	case syntax.OpCapture, syntax.OpPlus:
		return appendMatch(b, re.Sub[0], w)
	case syntax.OpStar, syntax.OpQuest: // none is enough
	case syntax.OpRepeat:
		for range re.Min {
			if b, ok = appendMatch(b, re.Sub[0], w); !ok {
				return b, false
			}
		}
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if b, ok = appendMatch(b, sub, w); !ok {
				return b, false
			}
		}
	case syntax.OpAlternate:
		return appendMatch(b, re.Sub[w.rand()%uint64(len(re.Sub))], w)
	default:
		return b, false
	}
	return b, true
}
