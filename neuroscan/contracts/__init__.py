"""Types that cross a boundary: enums, results, messages, the public scan, problems."""
