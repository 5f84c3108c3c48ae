// Persistence of grids from their extremum graph: H0, and by duality the top dimension, H1 in 2D and H2 in 3D.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

#include "common/bars.hpp"
#include "common/buffer.hpp"
#include "common/interrupt.hpp"
#include "common/merge_tree.hpp"
#include "common/sample.hpp"
#include "common/sort.hpp"
#include "common/values.hpp"
#include "grid/components.hpp"
#include "grid/extremum_graph.hpp"
#include "grid/grid.hpp"
#include "grid/pixel_map.hpp"

namespace topolayer {

// Buffers are kept from one sample to the next.
template <class Value>
class GridPersistence {
public:
    // Bars for each of the dimensions: 0, the number of axes less one, or both, in this order. `dual` is that of the grid.
    void operator()(const Sample<Value>& sample, const Grid& grid, const Grid& dual, std::span<const int> dims, Bars* bars) {
        if (dims.size() == 2)
            h0_and_top(sample, grid, dual, bars[0], bars[1]);
        else if (dims.front() == 0)
            h0(sample, grid, nullptr, *bars);
        else
            top(sample, dual, nullptr, *bars);
    }

    // The merge tree of H0, by labels; nullptr if a value is not finite.
    const MergeTree* tree(const Sample<Value>& sample, const Grid& grid) {
        if (!graph_.build(sample, grid, false, nullptr)) return nullptr;
        unite<true>(sample.interrupt);
        return &tree_;
    }

    // Of the pixels, after the last computation.
    const std::uint8_t* codes() { return graph_.codes(); }

    std::size_t bytes() const {
        return graph_.bytes() + order_.bytes() + spare_.bytes() + components_.bytes() + deaths_.bytes() +
               saddle_of_.bytes() + plane_.links.bytes() + plane_.loops.bytes() + tree_.bytes();
    }

private:
    using Word = Key<Value>;

    struct Death {
        Label label;
        Position saddle;
    };

    void h0(const Sample<Value>& sample, const Grid& grid, Plane* plane, Bars& bars) {
        bars.nonfinite = !graph_.build(sample, grid, false, plane);
        if (bars.nonfinite) return;
        unite(sample.interrupt);
        bars.finite.resize(2 * deaths_.size());
        auto* bar = bars.finite.data();
        for (const Death& death : deaths_) {
            *bar++ = graph_.position_of(death.label);
            *bar++ = death.saddle;
        }
        bars.essential.push_back(graph_.position_of(components_.root(0)));  // a grid is connected
    }

    // The top dimension: H0 in the reversed order of values and positions, in which the outside of the grid comes first;
    // what is born there dies here.
    void top(const Sample<Value>& sample, const Grid& dual, Plane* plane, Bars& bars) {
        if (dual.all_on_border()) {
            bars.nonfinite = !are_finite(sample.values, dual.size());
            return;
        }
        bars.nonfinite = !graph_.build(sample, dual, true, plane);
        if (bars.nonfinite) return;
        unite(sample.interrupt);
        // By death, which is the extremum: in the filtration, not in the reversed order.
        const Label extrema = graph_.extrema();
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
        for (const auto& [key, label] : order_) {
            *bar++ = saddle_of_[label];
            *bar++ = graph_.position_of(label);
        }
    }

    // Both. Those of a plane are found with one comparison of its pixels, and a saddle where H0 closes no loop unites nothing
    // in the reversed order: half of all saddles are left out there.
    void h0_and_top(const Sample<Value>& sample, const Grid& grid, const Grid& dual, Bars& h0_bars, Bars& top_bars) {
        const bool is_plane = grid.shape()[0] == 1 && !dual.all_on_border();
        if (is_plane) plane_.links.renew(static_cast<std::size_t>(grid.size()));
        Plane* const plane = is_plane ? &plane_ : nullptr;
        h0(sample, grid, plane, h0_bars);
        top_bars.nonfinite = h0_bars.nonfinite;
        if (h0_bars.nonfinite || dual.all_on_border()) return;
        if (is_plane) find_loops(grid.size());
        top(sample, dual, plane, top_bars);
    }

    // By key, then position in the order.
    void sort_arcs() {
        order_.swap(graph_.keys_of_arcs());
        if (graph_.reversed()) std::reverse(order_.begin(), order_.end());
        sort_by_key(order_, spare_);
    }

    // Goes through the arcs and lists the bars of length > 0: by death, then birth. Every other arc closes a loop, at
    // random: there is no branch for it.
    template <bool with_tree = false>
    void unite(Interrupt& interrupt) {
        sort_arcs();
        const Label extrema = graph_.extrema();
        components_.renew(extrema + 1, graph_.reversed());
        components_.key(graph_.outside()) = 0;  // no finite value has this key
        tree_.renew(with_tree ? extrema : 0);
        Label label = 0;
        graph_.for_each_extremum([&](const Extremum<Value>& extremum) {
            if constexpr (with_tree) tree_[label] = {extremum.position, extremum.position, label};
            components_.key(label++) = extremum.key;
        });
        deaths_.clear();
        Death* const first_death = deaths_.room_for(extrema + 1);
        Death* death = first_death;
        Pace pace(interrupt);
        Buffer<Arc>& arcs = graph_.arcs();
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
            const Word key = order_[i].key;
            Arc& arc = arcs[order_[i].index];
            const Label a = components_.root(arc.a), b = components_.root(arc.b);
            const bool b_older = components_.older(b, a);
            const Label older = b_older ? b : a, younger = b_older ? a : b;
            components_.attach(younger, older);
            arc.b = a != b ? arc.a : arc.b;  // ends that are equal mark an arc that united something, for find_loops
            if constexpr (with_tree) {
                tree_[younger].saddle = arc.saddle;
                tree_[younger].older = older;
            }
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

    // Where H0 closed a loop: an arc that did not unite anything, or was none, as it led to one extremum on both sides.
    void find_loops(std::int64_t pixels) {
        Buffer<std::uint64_t>& closed = plane_.loops;
        closed.renew(static_cast<std::size_t>(pixels + PixelMap::word - 1) / PixelMap::word);
        std::fill(closed.begin(), closed.end(), std::uint64_t{0});
        Buffer<Arc>& arcs = graph_.arcs();
        constexpr int most = 3;  // arcs of a saddle: a link of eight pixels has at most four components
        Arc* const behind = arcs.room_for(most);
        for (int i = 0; i < most; ++i) behind[i] = {unknown, 0, 1};  // of no saddle, as one looks that far ahead
        const Arc* arc = arcs.begin();
        graph_.for_each_saddle([&](const Saddle& saddle) {
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

    static constexpr Position unknown = std::numeric_limits<Position>::max();

    ExtremumGraph<Value> graph_;
    Buffer<Keyed<Word>> order_, spare_;  // of arcs, then of bars
    Components<Value> components_;
    Buffer<Death> deaths_;
    Buffer<Position> saddle_of_;  // by label
    Plane plane_;
    MergeTree tree_;
};

}  // namespace topolayer
