// Package redistest runs real redis-server processes for tests: each on a
// random loopback port with a directory of its own, alone, as a Cluster, or as a
// pair that a Sentinel watches. They end with the test, or with the test's
// process if that is killed.
//
// The program is found in PATH or named by CHOKEPOINT_REDIS_SERVER. Where there
// is none the test is skipped, unless CHOKEPOINT_REQUIRE_REDIS is set: then it
// fails, so that a run that was meant to be whole cannot pass by skipping.
package redistest
