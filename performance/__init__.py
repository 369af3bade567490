"""Side-by-side speed and memory runs against what others would pick. See docs/performance.md."""
