package workload

import "time"

// Incident is the reference incident: 900 calls per second of 60 clients, of
// which one call in fifty produces 6,000 to 8,000 tokens and cannot end within
// 60 s. Scale multiplies the rate and nothing else; 1 is full scale.
func Incident(scale float64) Spec {
	return Spec{
		Rate: 900 * scale, Duration: 10 * time.Minute, Clients: 60, Zipf: 1.1, Model: "gpt-4o-mini",
		Arrivals: Arrivals{Process: "gamma", CV: 3.45},
		Bursts:   Bursts{Factor: 2.4, Length: 15 * time.Second, Period: 150 * time.Second, Otherwise: 0.85},
		Classes: []Class{
			{
				Name: "body", Share: 0.98, MaxTokens: 4096,
				Input: Lengths{Table: "m-mid"}, Output: Lengths{Table: "m-mid"},
			},
			{
				Name: "long", Share: 0.02, MaxTokens: 16_384, CanStream: 0.1,
				Input: Lengths{Table: "m-mid"}, Output: Lengths{Min: 6000, Max: 8000},
			},
		},
	}
}

// steady is chat without surprises: Poisson arrivals at an even rate.
func steady() Spec {
	return Spec{
		Rate: 100, Duration: 10 * time.Minute, Clients: 20, Zipf: 0.8, Model: "gpt-4o-mini",
		Classes: []Class{{
			Name: "chat", MaxTokens: 4096, Stream: 0.5,
			Input: Lengths{Table: "azure-conv"}, Output: Lengths{Table: "azure-conv"},
		}},
	}
}

// burst is the same traffic with five times the rate for half a minute, every
// five minutes.
func burst() Spec {
	s := steady()
	s.Duration = 30 * time.Minute
	s.Arrivals = Arrivals{Process: "weibull", CV: 2}
	s.Bursts = Bursts{Factor: 5, Length: 30 * time.Second, Period: 5 * time.Minute}
	return s
}

// chatDiurnal is a day of streamed chat, with long responses that reason.
func chatDiurnal() Spec {
	return Spec{
		Rate: 20, Duration: 24 * time.Hour, Clients: 200, Zipf: 1.1, Model: "gpt-4o-mini",
		Arrivals: Arrivals{Process: "gamma", CV: 1.5},
		Curve: Curve{Step: time.Hour, Factors: []float64{
			0.35, 0.25, 0.2, 0.18, 0.2, 0.3, 0.5, 0.85, 1.3, 1.7, 1.85, 1.8,
			1.5, 1.6, 1.8, 1.85, 1.75, 1.5, 1.2, 1.05, 0.95, 0.8, 0.65, 0.5,
		}},
		Classes: []Class{
			{
				Name: "chat", Share: 0.9, MaxTokens: 4096, Stream: 1,
				Input: Lengths{Table: "azure-conv"}, Output: Lengths{Table: "azure-conv"},
			},
			{
				Name: "reasoning", Share: 0.1, MaxTokens: 32_768, Stream: 1,
				Input: Lengths{Table: "deepseek-r1"}, Output: Lengths{Table: "deepseek-r1"},
			},
		},
	}
}

// Scenarios lists the names of the built-in workloads.
func Scenarios() []string { return []string{"incident", "steady", "burst", "chat-diurnal"} }

// Scenario returns a built-in workload by its name.
func Scenario(name string) (Spec, bool) {
	switch name {
	case "incident":
		return Incident(1), true
	case "steady":
		return steady(), true
	case "burst":
		return burst(), true
	case "chat-diurnal":
		return chatDiurnal(), true
	}
	return Spec{}, false
}
