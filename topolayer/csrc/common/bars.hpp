// The result of every algorithm here, for one sample.
#pragma once

#include <cstdint>
#include <vector>

namespace topolayer {

// Indices of filtration values, relative to the sample. Finite bars come ordered by death, then birth, in
// filtration order and without those of length zero; essential bars by birth.
struct Bars {
    std::vector<std::int64_t> finite;     // birth, death, birth, death, ...
    std::vector<std::int64_t> essential;  // birth, birth, ...
    bool nonfinite = false;               // a NaN or an infinity was met: there are no bars
};

}  // namespace topolayer
