// Reads a scenario from TOML (platform.md, "A scenario file"). Unknown keys, impossible values and contradictions are refused with the
// line and the nearest valid name.
#pragma once

#include <string>
#include <vector>

#include "scenarios/scenario.h"

namespace sg::scenario {

// Errc::not_found: no such file. Errc::invalid: "file:line: what is wrong".
Result<Scenario> load_scenario_file(const std::string& path);

// The folder with the scenarios that come with Stormglass: beside the build directory of this program, or below the present one.
std::string scenario_folder();
// The files in it, sorted by name.
std::vector<std::string> scenario_files();

// `name_or_path`: the name of one of them, or a path to a TOML file. Errors as above; an unknown name is answered with the nearest.
Result<Scenario> find_scenario(const std::string& name_or_path);

}  // namespace sg::scenario
