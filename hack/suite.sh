# shellcheck shell=bash
# Sourced: packages of a Debian release that this machine need not run. Nothing is installed.

# The machine's mirror, proxy and keys, but lists and state of our own; and none of the machine's hooks, which would
# empty its cache. Fails, and says nothing, where apt has no mirror of Debian.
suite_apt_conf() { # WORK SUITE
	local mirror
	# shellcheck disable=SC2016 # apt's own variables
	mirror=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		awk '$1 == "Debian" && !found {found = $2} END {print found}')
	[ -n "$mirror" ] || return 1
	mkdir -p "$1"/state/lists/partial "$1"/cache/archives/partial
	: >"$1/status"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $2 main" >"$1/sources.list"
	cat >"$1/apt.conf" <<CONF
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb::DEP-11;
Dir::State "$1/state";
Dir::State::status "$1/status";
Dir::Cache "$1/cache";
Dir::Etc::sourcelist "$1/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Sandbox::User "root";
Acquire::Languages "none";
CONF
}
