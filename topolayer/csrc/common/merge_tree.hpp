// Which components join which.
#pragma once

#include "common/buffer.hpp"
#include "common/values.hpp"

namespace topolayer {

struct Branch {
    Position extremum;
    Position saddle;  // where its component joins an older one, and
    Label older;      // the extremum of that one: its own if it never does
};
using MergeTree = Buffer<Branch>;

}  // namespace topolayer
