package life

import (
	"time"

	"edgeloop/bench/fault/crew"
)

func Slower(quiet, during []time.Duration) (said []string) {
	for _, v := range slowed(crew.WaitAck, crew.FigureOf(quiet), crew.FigureOf(during), Bounds{}) {
		said = append(said, v.String())
	}
	return said
}
