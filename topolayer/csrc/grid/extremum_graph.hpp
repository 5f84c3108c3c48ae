// Persistence of grids from their extremum graph: H0, and by duality the top dimension, H1 in 2D and H2 in 3D. Few pixels
// matter: those that have no earlier neighbor give birth to a component (extrema: maxima of a superlevel filtration), those
// whose earlier neighbors fall into several groups may join components (saddles). All others are stepped over.
// "Earlier" is said of the pixel that enters the filtration first.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

#include "common/bars.hpp"
#include "common/buffer.hpp"
#include "grid/components.hpp"
#include "grid/grid.hpp"
#include "common/interrupt.hpp"
#include "common/merge_tree.hpp"
#include "common/values.hpp"
#include "common/parallel.hpp"
#include "grid/scan.hpp"
#include "common/sort.hpp"

namespace topolayer {

// Buffers are kept from one sample to the next.
template <class Value>
class ExtremumGraph {
public:
    void h0(const Value* values, const Grid& grid, bool superlevel, int threads, Bars& bars, Interrupt& interrupt,
            Plane* plane = nullptr) {
        threads_ = threads;
        superlevel_ = superlevel;
        reversed_ = false;
        bars.nonfinite = !scan(values, grid, plane, interrupt);
        if (bars.nonfinite) return;
        unite_extrema(values, grid, interrupt);
        bars.finite.resize(2 * deaths_.size());
        auto* bar = bars.finite.data();
        for (const Death& death : deaths_) {
            *bar++ = position_of(death.label);
            *bar++ = death.saddle;
        }
        bars.essential.push_back(position_of(components_.root(0)));  // a grid is connected
    }

    // The top dimension: H0 in the reversed order of values and positions, in which the outside of the grid comes first;
    // what is born there dies here. `dual` has the dual connectivity.
    void top(const Value* values, const Grid& dual, bool superlevel, int threads, Bars& bars, Interrupt& interrupt,
             Plane* plane = nullptr) {
        if (dual.all_on_border()) {
            bars.nonfinite = !are_finite(values, dual.size());
            return;
        }
        threads_ = threads;
        superlevel_ = superlevel;
        reversed_ = true;
        bars.nonfinite = !scan(values, dual, plane, interrupt);
        if (bars.nonfinite) return;
        unite_extrema(values, dual, interrupt);
        // By death, which is the extremum: in the filtration, not in the reversed order.
        saddle_of_.renew(extrema_);
        std::fill(saddle_of_.begin(), saddle_of_.end(), unknown);
        for (const Death& death : deaths_) saddle_of_[death.label] = death.saddle;
        order_.clear();
        auto* entry = order_.room_for(deaths_.size());
        for (Label label = 0; label < extrema_; ++label)
            if (saddle_of_[label] != unknown) *entry++ = {static_cast<Word>(~components_.key(label)), label};
        order_.end_at(entry);
        sort_by_key(order_, spare_);
        bars.finite.resize(2 * order_.size());
        auto* bar = bars.finite.data();
        for (const auto& [key, label] : order_) {
            *bar++ = saddle_of_[label];
            *bar++ = position_of(label);
        }
    }

    // Both. Those of a plane are found with one comparison of its pixels, and a saddle where H0 closes no loop unites nothing
    // in the reversed order: half of all saddles are left out there.
    void h0_and_top(const Value* values, const Grid& grid, const Grid& dual, bool superlevel, int threads, Bars& h0_bars,
                    Bars& top_bars, Interrupt& interrupt) {
        const bool is_plane = grid.shape()[0] == 1 && !dual.all_on_border();
        if (is_plane) plane_.links.renew(static_cast<std::size_t>(grid.size()));
        Plane* const plane = is_plane ? &plane_ : nullptr;
        h0(values, grid, superlevel, threads, h0_bars, interrupt, plane);
        top_bars.nonfinite = h0_bars.nonfinite;
        if (h0_bars.nonfinite || dual.all_on_border()) return;
        if (is_plane) find_loops(grid.size());
        top(values, dual, superlevel, threads, top_bars, interrupt, plane);
    }

    // The merge tree of H0, by labels; nullptr if a value is not finite.
    const MergeTree* tree(const Value* values, const Grid& grid, bool superlevel, int threads, Interrupt& interrupt) {
        threads_ = threads;
        superlevel_ = superlevel;
        reversed_ = false;
        if (!scan(values, grid, nullptr, interrupt)) return nullptr;
        unite_extrema<true>(values, grid, interrupt);
        return &tree_;
    }

    // Of the pixels, after the last computation.
    const std::uint8_t* codes() { return map_.codes(); }

    std::size_t bytes() const {
        std::size_t parts = 0;
        for (const Part& part : parts_)
            parts += part.band.extrema.bytes() + part.band.saddles.bytes() + part.arcs.bytes() + part.order.bytes() +
                     part.path.capacity() * sizeof(Position);
        return parts + map_.bytes() + order_.bytes() + spare_.bytes() + components_.bytes() + deaths_.bytes() +
               saddle_of_.bytes() + plane_.links.bytes() + plane_.loops.bytes() + tree_.bytes();
    }

private:
    using Word = Key<Value>;

    struct Arc {
        Position saddle;
        Label a, b;
    };
    struct Death {
        Label label;
        Position saddle;
    };
    // What one thread finds.
    struct Part {
        Band<Value> band;
        Label labels_before = 0;
        Buffer<Arc> arcs;
        Buffer<Keyed<Word>> order;  // of its arcs
        std::int64_t patience = 0;  // how many more steps to walk before they are noted
        std::vector<Position> path;
    };

    // Finds extrema, saddles and directions. False if a value is not finite.
    bool scan(const Value* values, const Grid& grid, Plane* plane, Interrupt& interrupt) {
        const std::int64_t rows = grid.rows(), width = grid.shape()[2];
        // A part begins where a word of pixels does.
        const std::int64_t unit = PixelMap::word / std::gcd(PixelMap::word, width);
        const std::int64_t count = std::min(parts_of_sample(threads_, grid.size()), 1 + rows / unit);
        const auto row_of = [&](std::int64_t part) {
            return part == count ? rows : rows * part / count / unit * unit;
        };
        if (parts_.size() != static_cast<std::size_t>(count)) parts_ = std::vector<Part>(static_cast<std::size_t>(count));
        map_.renew(grid.size());
        for_each_part(grid.size(), interrupt, [&](std::int64_t i) {
            parts_[i].band.scan(values, grid, superlevel_, reversed_, row_of(i), row_of(i + 1), map_, plane,
                                interrupt);
        });
        extrema_ = 0;
        for (std::int64_t i = 0; i < count; ++i) {
            parts_[i].labels_before = extrema_;
            if (extrema_ > 0) map_.add_before(row_of(i) * width, row_of(i + 1) * width, extrema_);
            extrema_ += static_cast<Label>(parts_[i].band.extrema.size());
        }
        return std::all_of(parts_.begin(), parts_.end(), [](const Part& part) { return part.band.all_finite; });
    }

    template <class Function>
    void for_each_part(std::int64_t pixels, Interrupt& interrupt, Function function) {
        const auto count = static_cast<std::int64_t>(parts_.size());
        if (count == 1)
            function(0);
        else
            for_each_task(count, pixels, count, interrupt, [&] { return function; });
    }

    template <bool with_tree = false>
    void unite_extrema(const Value* values, const Grid& grid, Interrupt& interrupt) {
        std::int64_t saddles = 0;
        for (Part& part : parts_) {
            part.arcs.clear();
            part.order.clear();
            part.patience = grid.size() / static_cast<std::int64_t>(parts_.size());
            saddles += static_cast<std::int64_t>(part.band.saddles.size());
        }
        if (saddles < grid.size() / 16)
            for_each_part(grid.size(), interrupt, [&](std::int64_t i) {
                find_arcs(values, grid, parts_[i].band.saddles, parts_[i], interrupt);
            });
        else  // to bring so many arcs of several threads together would take longer
            for (const Part& part : parts_) find_arcs(values, grid, part.band.saddles, parts_.front(), interrupt);
        far_label_.reset();
        sort_arcs();
        unite<with_tree>(interrupt);
    }

    // The label of the outside, which comes before all extrema; only a reversed order has it.
    Label outside() const { return extrema_; }

    Position position_of(Label label) const {
        const auto part = std::find_if(parts_.rbegin(), parts_.rend() - 1,
                                       [label](const Part& p) { return p.labels_before <= label; });
        return part->band.extrema[label - part->labels_before].position;
    }

    Label end_of_walk(Position position, unsigned direction) const {
        return direction == code::none ? map_.label_at(position) : outside();
    }

    // The extremum that is reached by going to earlier neighbors. Most walks are short, and how short cannot be predicted:
    // at their end they take steps of length zero. Once there have been many long ones, what they find out is kept, so that
    // no pixel is walked over again and again.
    Label extremum_from(Position position, const Grid& grid, Part& part) {
        for (int strides = 0; strides < 8 || part.patience > 0; ++strides) {
            for (int steps = 0; steps < stride; ++steps)
                position += static_cast<Position>(grid.step(map_.direction(position)));
            const unsigned direction = map_.direction(position);
            if (direction >= code::outwards) return end_of_walk(position, direction);
            part.patience -= stride;
        }
        std::atomic<Label>* const far_label = far_labels(grid.size());
        part.path.clear();
        Label label;
        while ((label = far_label[position].load(std::memory_order_relaxed)) == unknown) {
            part.path.push_back(position);
            const unsigned direction = map_.direction(position);
            if (direction >= code::outwards) {
                label = end_of_walk(position, direction);
                break;
            }
            position += static_cast<Position>(grid.step(direction));
        }
        for (const Position passed : part.path) far_label[passed].store(label, std::memory_order_relaxed);
        return label;
    }

    // Made when the first walk is long.
    std::atomic<Label>* far_labels(std::int64_t pixels) {
        const std::lock_guard lock(far_label_mutex_);
        if (!far_label_) {
            far_label_ = std::make_unique<std::atomic<Label>[]>(static_cast<std::size_t>(pixels));
            for (std::int64_t i = 0; i < pixels; ++i) far_label_[i].store(unknown, std::memory_order_relaxed);
        }
        return far_label_.get();
    }

    // Appends them to those of a part.
    void find_arcs(const Value* values, const Grid& grid, const Buffer<Saddle>& saddles, Part& part, Interrupt& interrupt) {
        Pace pace(interrupt);
        for (const Saddle& saddle : saddles) {
            const Position position = saddle.position;
            const bool on_border = reversed_ && map_.direction(position) == code::outwards;
            const auto extremum_towards = [&](Link rest) {
                const auto direction = static_cast<unsigned>(std::countr_zero(rest));
                if (on_border && grid.leaves(position, direction)) return outside();
                return extremum_from(position + static_cast<Position>(grid.step(direction)), grid, part);
            };
            const Word key = order_key(values[position], superlevel_ != reversed_);
            Link rest = saddle.representatives;
            const Label a = extremum_towards(rest);
            Arc* arc = part.arcs.room_for(std::numeric_limits<Link>::digits);
            auto* entry = part.order.room_for(std::numeric_limits<Link>::digits);
            auto index = static_cast<std::uint32_t>(part.arcs.size());
            while (rest &= rest - 1) {  // no branches: in noise they could not be predicted
                const Label b = extremum_towards(rest);
                *arc = {position, a, b};
                *entry = {key, index};
                arc += a != b;
                entry += a != b;
                index += a != b;
            }
            part.arcs.end_at(arc);
            part.order.end_at(entry);
            pace.after(1);
        }
    }

    // By key, then position in the order.
    void sort_arcs() {
        std::size_t count = 0;
        for (const Part& part : parts_) count += part.arcs.size();
        if (count > std::numeric_limits<std::uint32_t>::max())
            throw std::length_error("values: a sample has more than 2**32 arcs between extrema; split it into parts");
        Part& all = parts_.front();
        if (parts_.size() > 1) {
            all.arcs.room_for(count - all.arcs.size());
            all.order.room_for(count - all.order.size());
        }
        for (std::size_t i = 1; i < parts_.size(); ++i) {
            const auto before = static_cast<std::uint32_t>(all.arcs.size());
            for (const Arc& arc : parts_[i].arcs) all.arcs.push_back(arc);
            for (const auto& [key, index] : parts_[i].order) all.order.push_back({key, before + index});
        }
        order_.swap(parts_.front().order);
        if (reversed_) std::reverse(order_.begin(), order_.end());
        sort_by_key(order_, spare_);
    }

    // Goes through the arcs and lists the bars of length > 0: by death, then birth. Every other arc closes a loop, at
    // random: there is no branch for it.
    template <bool with_tree>
    void unite(Interrupt& interrupt) {
        components_.renew(extrema_ + 1, reversed_);
        components_.key(outside()) = 0;  // no finite value has this key
        tree_.renew(with_tree ? extrema_ : 0);
        Label label = 0;
        for (const Part& part : parts_)
            for (const auto& extremum : part.band.extrema) {
                if constexpr (with_tree) tree_[label] = {extremum.position, extremum.position, label};
                components_.key(label++) = extremum.key;
            }
        deaths_.clear();
        Death* const first_death = deaths_.room_for(extrema_ + 1);
        Death* death = first_death;
        Pace pace(interrupt);
        Buffer<Arc>& arcs = parts_.front().arcs;
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
        Buffer<Arc>& arcs = parts_.front().arcs;
        constexpr int most = 3;  // arcs of a saddle: a link of eight pixels has at most four components
        Arc* const behind = arcs.room_for(most);
        for (int i = 0; i < most; ++i) behind[i] = {unknown, 0, 1};  // of no saddle, as one looks that far ahead
        const Arc* arc = arcs.begin();
        for (const Part& part : parts_)
            for (const Saddle& saddle : part.band.saddles) {
                int loops = std::popcount(saddle.representatives) - 1, of_this = 0;
                for (int i = 0; i < most; ++i) {
                    const bool mine = arc[i].saddle == saddle.position;
                    of_this += mine;
                    loops -= mine & (arc[i].a == arc[i].b);
                }
                arc += of_this;
                closed[saddle.position / PixelMap::word] |= std::uint64_t{loops > 0} << saddle.position % PixelMap::word;
            }
    }

    static constexpr int stride = 4;
    static constexpr Label unknown = std::numeric_limits<Label>::max();

    int threads_ = 1;
    bool superlevel_ = false, reversed_ = false;
    PixelMap map_;
    std::vector<Part> parts_;
    Label extrema_ = 0;  // how many
    std::unique_ptr<std::atomic<Label>[]> far_label_;  // of positions, where it is known
    std::mutex far_label_mutex_;
    Buffer<Keyed<Word>> order_, spare_;
    Components<Value> components_;
    Buffer<Death> deaths_;
    Buffer<Position> saddle_of_;
    Plane plane_;
    MergeTree tree_;
};

}  // namespace topolayer
