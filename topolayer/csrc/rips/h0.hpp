// H0 of Vietoris-Rips filtrations: the bars end at the edges of the minimum spanning tree.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "common/bars.hpp"
#include "common/buffer.hpp"
#include "common/interrupt.hpp"
#include "common/sample.hpp"
#include "common/union_find.hpp"
#include "common/values.hpp"
#include "rips/distances.hpp"

namespace topolayer {

// Prim's algorithm on the dense matrix: no list of all edges is made or sorted. Reads entries (i, j) with i < j only.
template <class Value>
class RipsH0 {
public:
    // The values of the sample are the matrix.
    void operator()(const Sample<Value>& sample, std::int64_t points, Value threshold, Bars& bars) {
        bars.nonfinite = !matrix_.read(sample.values, points);
        if (bars.nonfinite) return;
        grow_tree(sample.interrupt);
        std::sort(tree_.begin(), tree_.end());
        components_.reset(static_cast<std::size_t>(points));  // vertices enter at 0 by index: the index is the age
        const Key<Value> longest = order_key(threshold, false), zero = order_key(Value{0}, false);
        for (const Edge& edge : tree_) {
            if (edge.length > longest) break;
            const auto a = components_.root(static_cast<std::uint32_t>(edge.entry / points));
            const auto b = components_.root(static_cast<std::uint32_t>(edge.entry % points));
            const std::int64_t younger = std::max(a, b);
            components_.attach(std::max(a, b), std::min(a, b));
            if (edge.length == zero) continue;
            bars.finite.push_back(younger * points + younger);
            bars.finite.push_back(edge.entry);
        }
        for (std::int64_t vertex = 0; vertex < points; ++vertex)
            if (components_.is_root(static_cast<std::uint32_t>(vertex))) bars.essential.push_back(vertex * points + vertex);
    }

    std::size_t bytes() const {
        return matrix_.bytes() + nearest_.bytes() + from_.bytes() + inside_.bytes() + tree_.capacity() * sizeof(Edge);
    }

private:
    struct Edge {
        Key<Value> length;
        std::int64_t entry;  // flat index of (i, j), i < j
        bool operator<(const Edge& other) const {
            return length != other.length ? length < other.length : entry < other.entry;
        }
    };
    using Number = Key<Value>;  // a point, as wide as a key, so that both are compared in the same vectors

    // The tree is unique: edges are compared in the total order, without ties. Of equally long edges to one point, that with the
    // smaller other end is the earlier one.
    void grow_tree(Interrupt& interrupt) {
        constexpr Key<Value> never = std::numeric_limits<Key<Value>>::max();
        Pace pace(interrupt);
        const std::int64_t points = matrix_.points();
        tree_.clear();
        nearest_.renew(static_cast<std::size_t>(points));
        from_.renew(nearest_.size());
        inside_.renew(nearest_.size());
        std::fill(nearest_.begin(), nearest_.end(), never);
        std::fill(from_.begin(), from_.end(), Number{0});
        std::fill(inside_.begin(), inside_.end(), Key<Value>{0});
        std::int64_t added = 0;
        for (std::int64_t outside = points - 1; outside > 0; --outside) {
            inside_[added] = nearest_[added] = never;
            const Key<Value> least = come_nearer(static_cast<Number>(added));
            const Edge next = first_of_length(least);
            tree_.push_back(next);
            added = next.entry / points;
            if (inside_[added]) added = next.entry % points;
            pace.after(points);
        }
    }

    // Now that a point is inside; the least distance of a point outside.
    Key<Value> come_nearer(Number added) {
        const Key<Value>* const row = matrix_.row(added);
        const std::size_t count = nearest_.size();
        Key<Value>* const nearest = nearest_.begin();
        Number* const from = from_.begin();
        const Key<Value>* const inside = inside_.begin();
        Key<Value> least = std::numeric_limits<Key<Value>>::max();
        for (std::size_t v = 0; v < count; ++v) {
            const Key<Value> length = row[v] | inside[v];
            const bool earlier = (length < nearest[v]) | ((length == nearest[v]) & (added < from[v]));
            from[v] = earlier ? added : from[v];
            nearest[v] = std::min(nearest[v], length);
            least = std::min(least, nearest[v]);
        }
        return least;
    }

    // The first edge to a point outside among those of the least length.
    Edge first_of_length(Key<Value> least) const {
        constexpr std::size_t at_once = 32;
        const std::int64_t points = matrix_.points();
        const Key<Value>* const nearest = nearest_.begin();
        Edge first{least, std::numeric_limits<std::int64_t>::max()};
        for (std::size_t begin = 0; begin < nearest_.size(); begin += at_once) {
            const std::size_t end = std::min(begin + at_once, nearest_.size());
            bool any = false;
            for (std::size_t v = begin; v < end; ++v) any |= nearest[v] == least;
            if (!any) continue;
            for (std::size_t v = begin; v < end; ++v) {
                if (nearest[v] != least) continue;
                const auto a = static_cast<std::int64_t>(from_[v]), b = static_cast<std::int64_t>(v);
                first.entry = std::min(first.entry, std::min(a, b) * points + std::max(a, b));
            }
        }
        return first;
    }

    KeyMatrix<Value> matrix_;
    Buffer<Key<Value>> nearest_, inside_;  // of each point: the length of the first edge to the tree; all bits if it is in it
    Buffer<Number> from_;                  // and the end of that edge in the tree
    std::vector<Edge> tree_;
    UnionFind components_;
};

}  // namespace topolayer
