#!/usr/bin/env bash
# Compares the clause tags ([RFC6455 5.1], [MQTT-3.1.2-3], [MQTT3-3.1.2-22]) on code with those
# on tests. Prints the clauses that have code but no test, and the reverse;
# exits 1 if there are any. Usage: rfc-tags.sh [PATH...], default everything.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# tags PATTERN...: the clauses named in the files of the repository that match.
tags() {
	git ls-files -z --cached --others --exclude-standard -- "$@" |
		xargs -0r grep -shoE '\[(RFC[0-9]+ |MQTT3?-)[0-9]+(\.[0-9]+)*(-[0-9]+)?\]' | sort -Vu || true
}

code=() tests=()
for path in "${@:-.}"; do
	code+=(":(glob)${path%/}/**/*.go" ":(exclude,glob)**/*_test.go")
	tests+=(":(glob)${path%/}/**/*_test.go" ":(glob)${path%/}/**/testdata/*.frames")
done

untested=$(comm -23 <(tags "${code[@]}" | sort) <(tags "${tests[@]}" | sort))
unmarked=$(comm -13 <(tags "${code[@]}" | sort) <(tags "${tests[@]}" | sort))
if [ -n "$untested" ]; then
	echo "code without a test:"
	sort -V <<<"$untested"
fi
if [ -n "$unmarked" ]; then
	echo "test without code:"
	sort -V <<<"$unmarked"
fi
[ -z "$untested$unmarked" ] || exit 1
echo "rfc-tags: $(tags "${code[@]}" | wc -l) clauses, each with code and a test"
