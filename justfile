# Short names for daily work; `just` alone lists them. None is needed: each line runs as it stands.

export PATH := justfile_directory() / ".tools/bin" + ":" + env("PATH")

_list:
    @{{ just_executable() }} --list --unsorted

# every check, in the order CI runs them (or only the steps named)
test *STEPS:
    ./test {{ STEPS }}

# the whole of Porthouse in one process, on an embedded Postgres
dev *FLAGS:
    ./dev {{ FLAGS }}

# format everything
fmt:
    cargo fmt --all
    buf format --write

# clippy as CI runs it
lint:
    cargo lint

# the rules of the house: purity, directions, sizes, names, documents
tidy:
    cargo tidy

# replay one seed of the simulator exactly
sim SEED:
    cargo sim {{ SEED }}

# new seeds for some seconds
sim-many SECONDS="180":
    cargo sim ci --seconds {{ SECONDS }}

# tests with real processes over a real Postgres
e2e:
    ./test setup build e2e

# style of the gRPC definitions
proto-lint:
    buf lint

# is a change of the gRPC definitions compatible with the last release?
proto-breaking:
    buf breaking --against proto/released.binpb

# bans, licences and sources of what we build on
deny:
    cargo deny check bans licenses sources
