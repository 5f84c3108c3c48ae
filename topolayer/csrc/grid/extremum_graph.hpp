// The extremum graph of a grid. Few pixels matter: those that have no earlier neighbor give birth to a component (extrema:
// maxima of a superlevel filtration), those whose earlier neighbors fall into several groups may join components (saddles).
// All others are stepped over. "Earlier" is said of the pixel that enters the filtration first.
#pragma once

#include <algorithm>
#include <array>
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

#include "common/buffer.hpp"
#include "common/interrupt.hpp"
#include "common/parallel.hpp"
#include "common/sample.hpp"
#include "common/sort.hpp"
#include "common/values.hpp"
#include "grid/grid.hpp"
#include "grid/meetings.hpp"
#include "grid/pixel_map.hpp"
#include "grid/scan.hpp"

namespace topolayer {

// From a saddle to two of the extrema that are reached from it.
struct Arc {
    Position saddle;
    Label a, b;
};

// Buffers are kept from one sample to the next.
template <class Value>
class ExtremumGraph {
public:
    using Word = Key<Value>;

    // False if a value is not finite. A reversed order of values and positions has the outside of the grid before all.
    bool build(const Sample<Value>& sample, const Grid& grid, bool reversed, Plane* plane) {
        if (!scan(sample, grid, reversed, plane)) return false;
        link(sample, grid);
        return true;
    }

    // The same in two steps.
    bool scan(const Sample<Value>& sample, const Grid& grid, bool reversed, Plane* plane, bool keeps_links = false) {
        divide(sample, grid, reversed);
        for_each_part(grid, sample.interrupt, [&](std::int64_t i) {
            auto mine = task(i, sample, grid, plane);
            mine.keeps_links = keeps_links;
            parts_[i].band.scan(mine);
        });
        return number_extrema(grid);
    }

    // In more steps, for those who scan several graphs at once. First the parts, each with a band to be scanned.
    void divide(const Sample<Value>& sample, const Grid& grid, bool reversed) {
        reversed_ = reversed;
        const std::int64_t count = std::min(parts_of_sample(sample.threads, grid.size()), 1 + grid.rows() / unit(grid));
        if (parts_.size() != static_cast<std::size_t>(count)) parts_ = std::vector<Part>(static_cast<std::size_t>(count));
        map_.renew(grid.size());
    }

    using Task = typename Band<Value>::Task;

    Task task(std::int64_t part, const Sample<Value>& sample, const Grid& grid, Plane* plane = nullptr) {
        return {sample, grid, reversed_, row_of(part, grid), row_of(part + 1, grid), map_, plane};
    }

    Band<Value>& band(std::int64_t part) { return parts_[part].band; }

    template <class Function>
    void for_each_part(const Grid& grid, Interrupt& interrupt, Function function) {
        const auto count = static_cast<std::int64_t>(parts_.size());
        if (count == 1)
            function(0);
        else
            for_each_task(count, grid.size(), count, interrupt, [&] { return function; });
    }

    // Then labels; false if a value is not finite.
    bool number_extrema(const Grid& grid) {
        const std::int64_t width = grid.shape()[2];
        extrema_ = 0;
        for (std::int64_t i = 0; i < static_cast<std::int64_t>(parts_.size()); ++i) {
            parts_[i].labels_before = extrema_;
            if (extrema_ > 0) map_.add_before(row_of(i, grid) * width, row_of(i + 1, grid) * width, extrema_);
            extrema_ += static_cast<Label>(parts_[i].band.extrema.size());
        }
        return std::all_of(parts_.begin(), parts_.end(), [](const Part& part) { return part.band.all_finite; });
    }

    // Then arcs. A complete graph has one for each representative of a saddle but the first: those that lead to one extremum on
    // both sides have no key, and ends that are no labels.
    template <bool complete = false>
    void link(const Sample<Value>& sample, const Grid& grid) {
        link_by([&](const Band<Value>& band, Part& part) { find_arcs<complete>(sample, grid, band.saddles, part); }, sample, grid);
    }

    // The same where the order matters in which components meet at a saddle; the scan has kept the links.
    void link(const Sample<Value>& sample, const Grid& grid, const Meetings& meetings) {
        link_by([&](const Band<Value>& band, Part& part) { find_arcs_in_order(sample, grid, meetings, band, part); }, sample, grid);
    }

    // Calls function(extremum, label) for the extrema of another graph of the same grid and order, by their labels there, with the
    // label here that a way from each of them leads to.
    template <class Function>
    void for_each_end(const ExtremumGraph& other, const Grid& grid, Interrupt& interrupt, Function function) {
        parts_.front().patience = grid.size();
        Pace pace(interrupt);
        other.for_each_extremum([&](const Extremum<Value>& extremum) {
            function(extremum, extremum_from(extremum.position, grid, parts_.front()));
            pace.after(1);
        });
        far_label_.reset();
    }

    // Calls function(label, position) for positions [begin, end), with the label that a way from each of them leads to.
    template <class Function>
    void for_each_end(std::int64_t begin, std::int64_t end, const Grid& grid, Interrupt& interrupt, Function function) {
        parts_.front().patience = grid.size() / 4;
        Pace pace(interrupt);
        for (auto position = static_cast<Position>(begin); position < end; ++position) {
            function(extremum_from(position, grid, parts_.front()), position);
            pace.after(1);
        }
        far_label_.reset();
    }

    bool reversed() const { return reversed_; }

    Label extrema() const { return extrema_; }  // how many

    // The label of the outside, which only a reversed order has.
    Label outside() const { return extrema_; }

    Position position_of(Label label) const {
        const auto part = std::find_if(parts_.rbegin(), parts_.rend() - 1,
                                       [label](const Part& p) { return p.labels_before <= label; });
        return part->band.extrema[label - part->labels_before].position;
    }

    // By label.
    template <class Function>
    void for_each_extremum(Function function) const {
        for (const Part& part : parts_)
            for (const Extremum<Value>& extremum : part.band.extrema) function(extremum);
    }

    // In C order.
    template <class Function>
    void for_each_saddle(Function function) const {
        for (const Part& part : parts_)
            for (const Saddle& saddle : part.band.saddles) function(saddle);
    }

    // Arcs go where those of another graph have been, which has them no more.
    void take_room_of(ExtremumGraph& other) {
        arcs().swap(other.arcs());
        keys_of_arcs().swap(other.keys_of_arcs());
    }

    // Saddles, arcs and ways are gone.
    void release() {
        map_.release();
        for (Part& part : parts_) {
            part.band.saddles.release();
            part.band.links.release();
            part.arcs.release();
            part.keys_of_arcs.release();
        }
    }

    // The links of the saddles, in C order, if they were kept.
    template <class Function>
    void for_each_link_of_saddles(Function function) const {
        for (const Part& part : parts_)
            for (std::size_t i = 0; i < part.band.links.size(); ++i) function(part.band.saddles[i], part.band.links[i]);
    }

    // By saddle, in C order, and the keys of the saddles with the indices of their arcs: for the caller to change.
    Buffer<Arc>& arcs() { return parts_.front().arcs; }
    Buffer<Keyed<Word>>& keys_of_arcs() { return parts_.front().keys_of_arcs; }

    // One for each pixel; see grid/neighborhood.hpp.
    const std::uint8_t* codes() { return map_.codes(); }

    std::size_t bytes() const {
        std::size_t parts = 0;
        for (const Part& part : parts_)
            parts += part.band.extrema.bytes() + part.band.saddles.bytes() + part.band.links.bytes() + part.arcs.bytes() +
                     part.keys_of_arcs.bytes() + part.path.capacity() * sizeof(Position);
        return parts + map_.bytes();
    }

private:
    // What one thread finds.
    struct Part {
        Band<Value> band;
        Label labels_before = 0;
        Buffer<Arc> arcs;
        Buffer<Keyed<Word>> keys_of_arcs;
        std::int64_t patience = 0;  // how many more steps to walk before they are noted
        std::vector<Position> path;
    };

    // A part begins where a word of pixels does.
    static std::int64_t unit(const Grid& grid) { return PixelMap::word / std::gcd(PixelMap::word, grid.shape()[2]); }

    std::int64_t row_of(std::int64_t part, const Grid& grid) const {
        const auto count = static_cast<std::int64_t>(parts_.size());
        return part == count ? grid.rows() : grid.rows() * part / count / unit(grid) * unit(grid);
    }

    // Calls find(what has the saddles, what the arcs go to) for all of them.
    template <class Function>
    void link_by(Function find, const Sample<Value>& sample, const Grid& grid) {
        std::int64_t saddles = 0;
        for (Part& part : parts_) {
            part.arcs.clear();
            part.keys_of_arcs.clear();
            part.patience = grid.size() / (4 * static_cast<std::int64_t>(parts_.size()));  // natural images need less
            saddles += static_cast<std::int64_t>(part.band.saddles.size());
        }
        if (saddles < grid.size() / 16)
            for_each_part(grid, sample.interrupt, [&](std::int64_t i) { find(parts_[i].band, parts_[i]); });
        else  // to bring so many arcs of several threads together would take longer
            for (const Part& part : parts_) find(part.band, parts_.front());
        far_label_.reset();
        join_arcs();
    }

    Label end_of_walk(Position position, unsigned direction) const {
        return direction == code::none ? map_.label_at(position) : outside();
    }

    // The extremum that is reached by going to earlier neighbors. Most walks are short, and how short cannot be predicted:
    // at their end they take steps of length zero. Once there have been many long ones, what they find out is noted on the
    // way, so that no pixel is walked over again and again.
    Label extremum_from(Position position, const Grid& grid, Part& part) {
        for (int strides = 0; strides < 8 || part.patience > 0; ++strides) {
            for (int steps = 0; steps < stride; ++steps)
                position += static_cast<Position>(grid.step(map_.direction(position)));
            const unsigned direction = map_.direction(position);
            if (direction >= code::outwards) return end_of_walk(position, direction);
            part.patience -= stride;
        }
        return far_extremum_from(position, grid, part);
    }

    // Far from here: what is found out on the way is noted.
    [[gnu::noinline]] Label far_extremum_from(Position position, const Grid& grid, Part& part) {
        std::atomic<Label>* const far_label = far_labels(grid.size());
        part.path.clear();
        Label label;
        for (;;) {
            if (is_milestone(position)) {
                label = far_label[position / block].load(std::memory_order_relaxed);
                if (label != unknown) break;
                part.path.push_back(position / block);
            }
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

    // One pixel of each block, here and there in it: few pixels are noted, and no long way leads around all of them.
    static bool is_milestone(Position position) {
        return position % block == (position / block * std::uint32_t{0x9e3779b1}) >> (32 - std::bit_width(block - 1));
    }

    // Made when the first walk is long.
    std::atomic<Label>* far_labels(std::int64_t pixels) {
        const std::lock_guard lock(far_label_mutex_);
        if (!far_label_) {
            const std::int64_t blocks = pixels / block + 1;
            far_label_ = std::make_unique<std::atomic<Label>[]>(static_cast<std::size_t>(blocks));
            for (std::int64_t i = 0; i < blocks; ++i) far_label_[i].store(unknown, std::memory_order_relaxed);
        }
        return far_label_.get();
    }

    // Which extremum is reached from a saddle by way of the first of some neighbors.
    auto ways_from(Position position, const Grid& grid, Part& part) {
        const bool on_border = reversed_ && map_.direction(position) == code::outwards;
        return [this, position, on_border, &grid, &part](Link rest) {
            const auto direction = static_cast<unsigned>(std::countr_zero(rest));
            if (on_border && grid.leaves(position, direction)) return outside();
            return extremum_from(position + static_cast<Position>(grid.step(direction)), grid, part);
        };
    }

    // Appends the arcs of the saddles to those of a part.
    template <bool complete>
    void find_arcs(const Sample<Value>& sample, const Grid& grid, const Buffer<Saddle>& saddles, Part& part) {
        const Value* const values = sample.values;
        const bool high_first = sample.superlevel != reversed_;
        Pace pace(sample.interrupt);
        for (const Saddle& saddle : saddles) {
            const Position position = saddle.position;
            const auto extremum_towards = ways_from(position, grid, part);
            const Word key = order_key(values[position], high_first);
            Link rest = saddle.representatives;
            const Label a = extremum_towards(rest);
            Arc* arc = part.arcs.room_for(std::numeric_limits<Link>::digits);
            auto* entry = part.keys_of_arcs.room_for(std::numeric_limits<Link>::digits);
            auto index = static_cast<std::uint32_t>(part.arcs.size());
            while (rest &= rest - 1) {  // no branches: in noise they could not be predicted
                const Label b = extremum_towards(rest);
                const bool leads_to_one = a == b;
                *arc = {position, a, complete && leads_to_one ? ~b : b};
                *entry = {key, index};
                arc += complete | !leads_to_one;
                entry += !leads_to_one;
                index += complete | !leads_to_one;
            }
            part.arcs.end_at(arc);
            part.keys_of_arcs.end_at(entry);
            pace.after(1);
        }
    }

    void find_arcs_in_order(const Sample<Value>& sample, const Grid& grid, const Meetings& meetings, const Band<Value>& band,
                            Part& part) {
        const bool high_first = sample.superlevel != reversed_;
        std::array<Link, std::numeric_limits<Link>::digits> components;
        std::array<Label, std::numeric_limits<Link>::digits> ends;
        Pace pace(sample.interrupt);
        for (std::size_t i = 0; i < band.saddles.size(); ++i) {
            const auto& [position, representatives] = band.saddles[i];
            const auto extremum_towards = ways_from(position, grid, part);
            const Word key = order_key(sample.values[position], high_first);
            const std::size_t before = part.arcs.size();
            std::size_t count = 0;
            for (Link rest = representatives; rest; rest &= rest - 1) {
                components[count] = rest & -rest;
                ends[count++] = extremum_towards(rest);
            }
            const auto meet = [&](std::size_t a, std::size_t b) {
                if (ends[a] == ends[b]) return;
                part.keys_of_arcs.push_back({key, static_cast<std::uint32_t>(part.arcs.size())});
                part.arcs.push_back({position, ends[a], ends[b]});
            };
            if (count == 2) {
                meet(0, 1);
            } else {
                for (std::size_t j = 0; j < count; ++j)
                    components[j] = grid.neighborhood().component(components[j], band.links[i]);
                meetings.for_each({components.data(), count}, meet);
                // In a reversed order arcs of equal keys are sorted from the last to the first.
                if (reversed_) std::reverse(part.arcs.begin() + before, part.arcs.end());
            }
            pace.after(1);
        }
    }

    // Appends those of all parts to those of the first.
    void join_arcs() {
        std::size_t count = 0;
        for (const Part& part : parts_) count += part.arcs.size();
        if (count > std::numeric_limits<std::uint32_t>::max())
            throw std::length_error("values: a sample has more than 2**32 arcs between extrema; split it into parts");
        Part& all = parts_.front();
        if (parts_.size() > 1) {
            all.arcs.room_for(count - all.arcs.size());
            all.keys_of_arcs.room_for(count - all.keys_of_arcs.size());
        }
        for (std::size_t i = 1; i < parts_.size(); ++i) {
            const auto before = static_cast<std::uint32_t>(all.arcs.size());
            for (const Arc& arc : parts_[i].arcs) all.arcs.push_back(arc);
            for (const auto& [key, index] : parts_[i].keys_of_arcs) all.keys_of_arcs.push_back({key, before + index});
        }
    }

    static constexpr int stride = 4;
    static constexpr Position block = 8;
    static constexpr Label unknown = std::numeric_limits<Label>::max();

    bool reversed_ = false;
    PixelMap map_;
    std::vector<Part> parts_;
    Label extrema_ = 0;
    std::unique_ptr<std::atomic<Label>[]> far_label_;  // of the milestone of each block, where it is known
    std::mutex far_label_mutex_;
};

}  // namespace topolayer
