//go:build unix

package redistest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const slots = 16384 // https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/

// Nodes are the masters of a Redis Cluster.
type Nodes []*Server

// Cluster runs three masters that share the slots evenly, and waits until each
// of them finds the cluster whole.
func Cluster(t testing.TB, opts ...Option) Nodes {
	t.Helper()
	nodes := make(Nodes, 3)
	for i := range nodes {
		nodes[i] = Start(t, append([]Option{Config("cluster-enabled", "yes"), Config("cluster-node-timeout", "5000")}, opts...)...)
	}
	for i, n := range nodes {
		var list strings.Builder
		for slot := slots * i / len(nodes); slot < slots*(i+1)/len(nodes); slot++ {
			fmt.Fprintf(&list, " %d", slot)
		}
		// ADDSLOTSRANGE would be shorter and asks for Redis 7.
		n.do("CLUSTER ADDSLOTS" + list.String())
		n.do(fmt.Sprintf("CLUSTER SET-CONFIG-EPOCH %d", i+1))
	}
	for _, n := range nodes[1:] {
		n.do(fmt.Sprintf("CLUSTER MEET 127.0.0.1 %d", nodes[0].port))
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if nodes.whole() {
			return nodes
		}
		if time.Now().After(deadline) {
			t.Fatalf("redistest: the cluster does not come together: %s", nodes[0].log())
		}
	}
}

// whole says whether every node knows all the others and finds all slots
// served.
func (ns Nodes) whole() bool {
	for _, n := range ns {
		info, err := n.ask("CLUSTER INFO")
		if err != nil || !strings.Contains(info, "cluster_state:ok\r\n") ||
			!strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d\r\n", len(ns))) || !strings.Contains(info, fmt.Sprintf("cluster_size:%d\r\n", len(ns))) {
			return false
		}
	}
	return true
}

// URL is "redis+cluster://host:port,host:port,host:port".
func (ns Nodes) URL() string {
	addrs := make([]string, len(ns))
	for i, n := range ns {
		addrs[i] = n.Addr()
	}
	return "redis+cluster://" + strings.Join(addrs, ",")
}
