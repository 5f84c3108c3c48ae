// Extrema of one function as labels of the components of another one.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "common/buffer.hpp"
#include "common/interrupt.hpp"
#include "common/sort.hpp"
#include "common/values.hpp"
#include "grid/components.hpp"
#include "grid/extremum_graph.hpp"
#include "grid/grid.hpp"
#include "grid/merging.hpp"
#include "grid/scan.hpp"

namespace topolayer {

// The extrema of a graph in the order in which they enter.
template <class Value>
class Extrema {
public:
    void take(const ExtremumGraph<Value>& graph) {
        positions_.clear();
        sorted_.clear();
        auto* position = positions_.room_for(graph.extrema());
        auto* entry = sorted_.room_for(graph.extrema());
        Label label = 0;
        graph.for_each_extremum([&](const Extremum<Value>& extremum) {
            *position++ = extremum.position;
            *entry++ = {extremum.key, label++};
        });
        positions_.end_at(position);
        sorted_.end_at(entry);
        if (graph.reversed()) std::reverse(sorted_.begin(), sorted_.end());
        sort_by_key(sorted_, spare_);
    }

    std::size_t size() const { return sorted_.size(); }
    const Buffer<Position>& positions() const { return positions_; }  // in C order, by label
    const Buffer<Keyed<Key<Value>>>& in_order() const { return sorted_; }

    std::size_t bytes() const { return positions_.bytes() + sorted_.bytes() + spare_.bytes(); }

private:
    Buffer<Position> positions_;
    Buffer<Keyed<Key<Value>>> sorted_, spare_;
};

// Memory of labels, which is kept.
template <std::size_t functions>
struct LabelRoom {
    std::array<Buffer<Label>, functions> ends, carried;

    std::size_t bytes() const {
        std::size_t result = 0;
        for (const auto* buffers : {&ends, &carried})
            for (const Buffer<Label>& buffer : *buffers) result += buffer.bytes();
        return result;
    }
};

// Each component of A carries the oldest extremum of B in it; of two that meet the younger one is gone. That is the birth of a
// bar of the image persistence, or in a reversed order the death, if it enters before the arc at which they meet.
//
// The oldest pixel of a component, in the order of B, is an extremum of B if it enters before the arc: whatever is next to it and
// enters B earlier has entered A too, which is never later than B. So it is enough to look at extrema, each from the moment on
// at which it enters B. It is in A by then: the way from it to earlier and earlier pixels leads to an extremum of A.
//
// Several functions B can be carried along. `gone(younger, labels)` is told of each arc at
// which one of each is gone, with the extremum of A that is.
template <class Value, std::size_t functions, class Gone>
class Labels {
public:
    using Marks = std::array<const Extrema<Value>*, functions>;
    Labels(const Marks& marks, ExtremumGraph<Value>& graph, const Grid& grid, Interrupt& interrupt,
           Components<Value>& components, LabelRoom<functions>& room, Gone gone)
        : marks_(marks), components_(components), room_(room), gone_(gone) {
        for (std::size_t i = 0; i < functions; ++i) {
            graph.find_ends(marks[i]->positions(), grid, interrupt, room.ends[i]);
            room.carried[i].renew(graph.extrema() + 1);
            std::fill(room.carried[i].begin(), room.carried[i].end(), none);
            room.carried[i][graph.outside()] = 0;  // the outside of the one is that of the other
        }
    }

    void before(Key<Value> key) {
        for (std::size_t i = 0; i < functions; ++i) {
            const auto& order = marks_[i]->in_order();
            for (; next_[i] < order.size() && order[next_[i]].key < key; ++next_[i]) {
                Label& carried = room_.carried[i][components_.root(room_.ends[i][order[next_[i]].index])];
                carried = std::min(carried, static_cast<Label>(next_[i] + 1));
            }
        }
    }

    void meet(Label older, Label younger, Position, bool united) {
        if (!united) return;
        std::array<Label, functions> labels;
        bool all = true;
        for (std::size_t i = 0; i < functions; ++i) {
            Label &kept = room_.carried[i][older], other = room_.carried[i][younger];
            const Label younger_label = std::max(kept, other);
            kept = std::min(kept, other);
            all &= younger_label != none;
            labels[i] = younger_label;
        }
        if (!all) return;
        for (std::size_t i = 0; i < functions; ++i) labels[i] = marks_[i]->in_order()[labels[i] - 1].index;
        gone_(younger, labels);
    }

private:
    // Carried are places in the order of B, counted from 1; the outside is 0.
    static constexpr Label none = std::numeric_limits<Label>::max();

    Marks marks_;
    Components<Value>& components_;
    LabelRoom<functions>& room_;
    Gone gone_;
    std::array<std::size_t, functions> next_{};
};

}  // namespace topolayer
