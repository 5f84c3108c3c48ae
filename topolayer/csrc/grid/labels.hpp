// Extrema of one function as labels of the components of another one.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "common/buffer.hpp"
#include "common/interrupt.hpp"
#include "common/values.hpp"
#include "grid/extremum_graph.hpp"
#include "grid/grid.hpp"
#include "grid/merging.hpp"
#include "grid/scan.hpp"

namespace topolayer {

// An extremum of some function that a component carries.
template <class Value>
struct Carried {
    Key<Value> key;
    Label label;  // in a reversed order all bits are flipped, so that of equal keys the smaller one is older

    bool older(const Carried& other) const {
        return (key < other.key) | ((key == other.key) & (label < other.label));
    }
};

// By the label of the component, for several functions.
template <class Value, std::size_t functions>
using Carrying = Buffer<std::array<Carried<Value>, functions>>;

// Each component of A carries the oldest extremum of B in it; of two that meet the younger one is gone. That is the birth of a
// bar of the image persistence, or in a reversed order the death, if it enters before the arc at which they meet.
//
// The oldest pixel of a component, in the order of B, is an extremum of B if it enters before the arc: whatever is next to it and
// enters B earlier has entered A too, which is never later than B. So it is enough to look at extrema. From each of them a way
// leads to earlier and earlier pixels of A, to the extremum of a component of which it is a part when it has entered B. Until then
// it is carried too early, but so young that it makes no difference.
//
// Several functions B can be carried along. `gone(younger, labels)` is told of each arc at which one of each is gone, with the
// extremum of A that is.
template <class Value, std::size_t functions, class Gone>
class Labels : public NoNotes<Value> {
public:
    using Graphs = std::array<const ExtremumGraph<Value>*, functions>;

    Labels(const Graphs& others, ExtremumGraph<Value>& graph, const Grid& grid, Interrupt& interrupt,
           Carrying<Value, functions>& carried, Gone gone)
        : carried_(carried), flip_(graph.reversed() ? ~Label{0} : 0), gone_(gone) {
        std::array<Carried<Value>, functions> nothing;
        nothing.fill({std::numeric_limits<Key<Value>>::max(), 0});  // no finite value has this key
        carried.renew(graph.extrema() + 1);
        std::fill(carried.begin(), carried.end(), nothing);
        carried[graph.outside()].fill({0, 0});  // the outside of the one is that of the other
        for (std::size_t i = 0; i < functions; ++i) {
            Label label = 0;
            graph.for_each_end(*others[i], grid, interrupt, [&](const Extremum<Value>& extremum, Label end) {
                const Carried<Value> mine{extremum.key, label++ ^ flip_};
                if (mine.older(carried[end][i])) carried[end][i] = mine;
            });
        }
    }

    void prefetch(Label label) const { topolayer::prefetch(&carried_[label]); }

    void meet(Label older, Label younger, Position, Key<Value> key, bool united) {
        std::array<Label, functions> labels;
        bool all = united;
        for (std::size_t i = 0; i < functions; ++i) {
            const Carried<Value> a = carried_[older][i], b = carried_[younger][i];
            const bool b_older = b.older(a);
            carried_[older][i] = b_older ? b : a;
            const Carried<Value> dies = b_older ? a : b;
            all &= dies.key < key;
            labels[i] = dies.label ^ flip_;
        }
        if (all) gone_(younger, labels);
    }

private:
    Carrying<Value, functions>& carried_;
    Label flip_;
    Gone gone_;
};

}  // namespace topolayer
