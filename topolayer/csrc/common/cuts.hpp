// Extrema are cut off where only the most prominent ones are kept.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "common/buffer.hpp"
#include "common/merge_tree.hpp"
#include "common/sample.hpp"
#include "common/values.hpp"

namespace topolayer {

// Which bars are kept: those that never die, and as many of the longest as make up `most` with them; none below `shortest`.
struct Kept {
    std::int64_t most;
    double shortest;
};

// An extremum is cut off at the saddle where its component first meets a kept extremum; a kept one stands for itself.
// A component that dies into another one is born after it and dies before it: it is no longer, and of equal ones it is kept
// last. So a component whose oldest extremum is not kept has no kept one: whatever dies into such an extremum is cut off where
// that one is, and whatever dies into a kept one where it dies.
template <class Value>
class Cuts {
public:
    const Buffer<Position>& find(const MergeTree& tree, const Sample<Value>& sample, const Kept& kept) {
        list_bars(tree, sample, kept);
        cuts_.renew(tree.size());
        std::fill(cuts_.begin(), cuts_.end(), unknown);
        for (Label label = 0; label < tree.size(); ++label)
            if (tree[label].older == label) cuts_[label] = tree[label].extremum;
        for (const Bar& bar : bars_) cuts_[bar.label] = tree[bar.label].extremum;
        for (Label label = 0; label < tree.size(); ++label) {
            Label last = label;  // the last one that is not kept, on the way to older ones
            while (cuts_[last] == unknown && cuts_[tree[last].older] == unknown) last = tree[last].older;
            if (cuts_[last] == unknown) {
                const Label older = tree[last].older;
                const bool dies_into_kept = cuts_[older] == tree[older].extremum;
                cuts_[last] = dies_into_kept ? tree[last].saddle : cuts_[older];
            }
            for (Label passed = label; cuts_[passed] == unknown; passed = tree[passed].older) cuts_[passed] = cuts_[last];
        }
        return cuts_;
    }

    std::size_t bytes() const { return bars_.bytes() + cuts_.bytes(); }

private:
    struct Bar {
        Value length;
        Label label;
    };

    // The finite bars of length > 0 that are kept.
    void list_bars(const MergeTree& tree, const Sample<Value>& sample, const Kept& kept) {
        const Value* const values = sample.values;
        const Value shortest = rounded<Value>(kept.shortest);
        bars_.clear();
        std::int64_t essential = 0;
        Bar* bar = bars_.room_for(tree.size());
        for (Label label = 0; label < tree.size(); ++label) {
            const Value birth = values[tree[label].extremum], death = values[tree[label].saddle];
            *bar = {std::abs(birth - death), label};
            essential += tree[label].older == label;
            bar += (tree[label].older != label) & (birth != death) & (bar->length >= shortest);
        }
        bars_.end_at(bar);
        const auto count = static_cast<std::size_t>(std::max<std::int64_t>(0, kept.most - essential));
        if (count >= bars_.size()) return;
        const auto born_earlier = [&](Position a, Position b) {
            const Key<Value> first = order_key(values[a], sample.superlevel);
            const Key<Value> second = order_key(values[b], sample.superlevel);
            return first != second ? first < second : a < b;
        };
        std::nth_element(bars_.begin(), bars_.begin() + count, bars_.end(), [&](const Bar& a, const Bar& b) {
            if (a.length != b.length) return a.length > b.length;
            return born_earlier(tree[a.label].extremum, tree[b.label].extremum);
        });
        bars_.end_at(bars_.begin() + count);
    }

    static constexpr Position unknown = std::numeric_limits<Position>::max();

    Buffer<Bar> bars_;
    Buffer<Position> cuts_;
};

}  // namespace topolayer
