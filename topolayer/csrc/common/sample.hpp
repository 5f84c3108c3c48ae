// The part of a batch that an algorithm is given.
#pragma once

#include <cstdint>

#include "common/interrupt.hpp"

namespace topolayer {

template <class Value>
struct Sample {
    const Value* values;
    std::int64_t size;    // how many there are
    std::int64_t first;   // where they begin in the batch
    std::int64_t number;  // of the sample
    bool superlevel;
    int threads;  // that may work on this sample
    Interrupt& interrupt;
};

}  // namespace topolayer
