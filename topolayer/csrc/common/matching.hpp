// The result of induced matchings, for one sample.
#pragma once

#include <cstdint>
#include <vector>

#include "common/bars.hpp"

namespace topolayer {

// Two functions are compared by the union of their sets, or by the intersection.
enum class Comparison { union_, intersection };

// The bars of both functions in one dimension, and the pairs of indices of those that are matched, ascending.
struct MatchedBars {
    Bars first, second;
    std::vector<std::int64_t> pairs;
};

}  // namespace topolayer
