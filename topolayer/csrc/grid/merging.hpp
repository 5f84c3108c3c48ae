// From the arcs of an extremum graph to bars: components are united in the order of the arcs.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "common/bars.hpp"
#include "common/buffer.hpp"
#include "common/interrupt.hpp"
#include "common/sort.hpp"
#include "common/values.hpp"
#include "grid/components.hpp"
#include "grid/extremum_graph.hpp"
#include "grid/pixel_map.hpp"
#include "grid/scan.hpp"

namespace topolayer {

// Nothing is noted when components meet. Other notes are classes with the same functions.
template <class Value>
struct NoNotes {
    // An arc with an end in this component is not far.
    void prefetch(Label) const {}

    // The ends of an arc are in these components, which are one if it unites nothing.
    void meet(Label /* older */, Label /* younger */, Position /* saddle */, Key<Value>, bool /* united */) {}
};

// Buffers are kept from one graph to the next. A graph is an ExtremumGraph, or a StitchedGraph of slabs.
template <class Value>
class Merging {
public:
    using Word = Key<Value>;

    struct Death {
        Label label;
        Position saddle;
    };

    // What is free again when the bars are listed.
    struct Buffers {
        Buffer<Keyed<Word>>&order, &spare;
        Buffer<Death>& deaths;
        Buffer<Position>& saddle_of;
    };

    // Goes through the arcs and finds the bars of length > 0: by death, then birth. Every other arc closes a loop, at
    // random: there is no branch for it.
    template <class Graph, class Notes = NoNotes<Value>>
    void unite(Graph& graph, Interrupt& interrupt, Notes&& notes = {}) {
        sort_arcs(graph);
        const Label extrema = graph.extrema();
        components_.renew(extrema + 1, graph.reversed());
        components_.key(graph.outside()) = 0;  // no finite value has this key
        Label label = 0;
        graph.for_each_extremum([&](const Extremum<Value>& extremum) { components_.key(label++) = extremum.key; });
        deaths_.clear();
        Death* const first_death = deaths_.room_for(extrema + 1);
        Death* death = first_death;
        Pace pace(interrupt);
        Buffer<Arc>& arcs = graph.arcs();
        const std::size_t count = order_.size();
        for (std::size_t i = 0; i < count; ++i) {
            // Sorted arcs are all over the image: what the next ones need is fetched while this one is worked on.
            const auto ahead = [&](std::size_t distance) -> const Arc& {
                return arcs[order_[std::min(i + distance, count - 1)].index];
            };
            prefetch(&ahead(48));
            components_.prefetch(ahead(32).a);
            components_.prefetch(ahead(32).b);
            components_.prefetch_parent(ahead(16).a);
            components_.prefetch_parent(ahead(16).b);
            notes.prefetch(ahead(16).a);
            notes.prefetch(ahead(16).b);
            const Word key = order_[i].key;
            Arc& arc = arcs[order_[i].index];
            const Label a = components_.root(arc.a), b = components_.root(arc.b);
            const bool b_older = components_.older(b, a);
            const Label older = b_older ? b : a, younger = b_older ? a : b;
            components_.attach(younger, older);
            arc.b = a != b ? arc.a : arc.b;  // ends that are equal mark an arc that united something, for find_loops
            notes.meet(older, younger, arc.saddle, key, a != b);
            *death = {younger, arc.saddle};
            death += (a != b) & (components_.key(younger) != key);
            for (Death* end = death; end - first_death > 1 && end[-2].saddle == end[-1].saddle; --end) {
                if (!components_.older(end[-1].label, end[-2].label)) break;
                std::swap(end[-1], end[-2]);
            }
            pace.after(1);
        }
        deaths_.end_at(death);
    }

    // The bars that were found in H0.
    template <class Graph>
    void list_h0(const Graph& graph, Bars& bars) {
        bars.finite.resize(2 * deaths_.size());
        auto* bar = bars.finite.data();
        for (const Death& death : deaths_) {
            *bar++ = graph.position_of(death.label);
            *bar++ = death.saddle;
        }
        bars.essential.push_back(graph.position_of(components_.root(0)));  // a grid is connected
    }

    // Those that were found in the reversed order: by death, which is the extremum in the filtration, not in that order.
    template <class Graph>
    void list_top(const Graph& graph, Bars& bars) {
        const Label extrema = graph.extrema();
        saddle_of_.renew(extrema);
        std::fill(saddle_of_.begin(), saddle_of_.end(), unknown);
        for (const Death& death : deaths_) saddle_of_[death.label] = death.saddle;
        order_.clear();
        auto* entry = order_.room_for(deaths_.size());
        for (Label label = 0; label < extrema; ++label)
            if (saddle_of_[label] != unknown) *entry++ = {static_cast<Word>(~components_.key(label)), label};
        order_.end_at(entry);
        sort_by_key(order_, spare_);
        bars.finite.resize(2 * order_.size());
        auto* bar = bars.finite.data();
        Death* death = deaths_.begin();
        for (const auto& [key, label] : order_) {
            *death++ = {label, saddle_of_[label]};
            *bar++ = saddle_of_[label];
            *bar++ = graph.position_of(label);
        }
    }

    // Those of the bars, in their order, once they are listed.
    const Buffer<Death>& deaths() const { return deaths_; }

    Buffers buffers() { return {order_, spare_, deaths_, saddle_of_}; }

    void release() {
        order_.release();
        spare_.release();
    }

    std::size_t bytes() const {
        return order_.bytes() + spare_.bytes() + components_.bytes() + deaths_.bytes() + saddle_of_.bytes();
    }

private:
    // By key, then position in the order.
    template <class Graph>
    void sort_arcs(Graph& graph) {
        order_.swap(graph.keys_of_arcs());
        if (graph.reversed()) std::reverse(order_.begin(), order_.end());
        sort_by_key(order_, spare_);
    }

    static constexpr Position unknown = std::numeric_limits<Position>::max();

    Buffer<Keyed<Word>> order_, spare_;  // of arcs, then of bars
    Components<Value> components_;
    Buffer<Death> deaths_;
    Buffer<Position> saddle_of_;  // by label
};

// Where H0 closed a loop: an arc that did not unite anything, or was none, as it led to one extremum on both sides.
template <class Value>
void find_loops(ExtremumGraph<Value>& graph, std::int64_t pixels, Plane& plane) {
    Buffer<std::uint64_t>& closed = plane.loops;
    closed.renew(static_cast<std::size_t>(pixels + PixelMap::word - 1) / PixelMap::word);
    std::fill(closed.begin(), closed.end(), std::uint64_t{0});
    Buffer<Arc>& arcs = graph.arcs();
    constexpr int most = 3;  // arcs of a saddle: a link of eight pixels has at most four components
    Arc* const behind = arcs.room_for(most);
    constexpr Position no_saddle = std::numeric_limits<Position>::max();
    for (int i = 0; i < most; ++i) behind[i] = {no_saddle, 0, 1};  // as one looks that far ahead
    const Arc* arc = arcs.begin();
    graph.for_each_saddle([&](const Saddle& saddle) {
        int loops = std::popcount(saddle.representatives) - 1, of_this = 0;
        for (int i = 0; i < most; ++i) {
            const bool mine = arc[i].saddle == saddle.position;
            of_this += mine;
            loops -= mine & (arc[i].a == arc[i].b);
        }
        arc += of_this;
        closed[saddle.position / PixelMap::word] |= std::uint64_t{loops > 0} << saddle.position % PixelMap::word;
    });
}

}  // namespace topolayer
