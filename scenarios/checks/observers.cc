#include "scenarios/checks/observers.h"

namespace sg::scenario {

struct Observers::State {};

Observers::Observers(sim::World&, Cluster&) : state_(std::make_unique<State>()) {}
Observers::~Observers() = default;
void Observers::finish() {}
std::string Observers::idle_check() const { return ""; }

}  // namespace sg::scenario
