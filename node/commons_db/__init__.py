"""The commons: a DuckDB file of tidy tables of released cells, for SQL (specs/commons.md).

A projection, never a record: it holds what the logs already say, is rebuilt from them in the background, and may be
deleted at any time. Only released, noised numbers are in it. The node's own process never opens it: short-lived
children build it and ask it, so an idle node stays small and a bad statement dies alone.
"""
