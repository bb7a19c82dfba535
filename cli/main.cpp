// fathom: the command users type. See docs/cli.md.
#include "cli/app.hpp"

int main(int argc, char** argv) { return fathom::cli::run_app(argc, argv, FATHOM_VERSION); }
