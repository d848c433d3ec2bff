package telegramtest

import "net/http"

// failure is what becomes of one send or edit.
type failure struct {
	refusal *refusal
	page    bool // a page that is not the API's
	cut     bool // the connection breaks before anything is done
	drop    bool // it is done, and the connection breaks before the answer
	half    bool // it is done, and the connection breaks in the middle of the answer
}

// FailTooMany refuses the next n sends and edits with 429.
func (s *Server) FailTooMany(n, seconds int) {
	s.fail(n, failure{refusal: &refusal{code: 429, text: "Too Many Requests: retry after", wait: seconds}})
}

// FailWith refuses the next n sends and edits with a code and a description,
// such as 403 and "Forbidden: bot was kicked from the group chat".
func (s *Server) FailWith(n, code int, description string) {
	s.fail(n, failure{refusal: &refusal{code: code, text: description}})
}

// FailMoved refuses the next n sends and edits since the chat has another ID.
func (s *Server) FailMoved(n int, to int64) {
	s.fail(n, failure{refusal: &refusal{code: 400, text: "Bad Request: group chat was upgraded to a supergroup chat", movedTo: to}})
}

// FailPage answers the next n sends and edits with the front end's 502 page.
func (s *Server) FailPage(n int) { s.fail(n, failure{page: true}) }

// FailCut breaks the connection of the next n sends and edits, and does nothing.
func (s *Server) FailCut(n int) { s.fail(n, failure{cut: true}) }

// FailDropped does the next n sends and edits, and breaks the connection before
// it has answered.
func (s *Server) FailDropped(n int) { s.fail(n, failure{drop: true}) }

// FailHalf does the next n sends and edits, and breaks the connection in the
// middle of the answer.
func (s *Server) FailHalf(n int) { s.fail(n, failure{half: true}) }

func (s *Server) fail(n int, f failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.failures = append(s.failures, f)
	}
}

// Stall takes the next send or edit and never answers; arrived is closed when
// it is there. The connection ends when the bot gives up.
func (s *Server) Stall() (arrived <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := make(chan struct{})
	s.stalls = append(s.stalls, c)
	return c
}

// failing is what becomes of this send or edit.
func (s *Server) failing(r *http.Request) failure {
	s.mu.Lock()
	if len(s.stalls) > 0 {
		arrived := s.stalls[0]
		s.stalls = s.stalls[1:]
		s.mu.Unlock()
		close(arrived)
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
		return failure{cut: true}
	}
	defer s.mu.Unlock()
	if len(s.failures) == 0 {
		return failure{}
	}
	f := s.failures[0]
	s.failures = s.failures[1:]
	return f
}
