// Package thesis keeps the catalysts and risks of a thesis: evidence in, live
// state out.
package thesis
