// H0 of Vietoris-Rips filtrations: the bars end at the edges of the minimum spanning tree.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/bars.hpp"
#include "common/interrupt.hpp"
#include "common/sample.hpp"
#include "common/values.hpp"
#include "common/union_find.hpp"

namespace topolayer {

// Prim's algorithm on the dense matrix: no list of all edges is made or sorted. Reads entries (i, j) with i < j only.
template <class Value>
class RipsH0 {
public:
    // The values of the sample are the matrix.
    void operator()(const Sample<Value>& sample, std::int64_t points, Value threshold, Bars& bars) {
        grow_tree(sample.values, points, sample.interrupt);
        bars.nonfinite = !std::all_of(tree_.begin(), tree_.end(), [](const Edge& e) { return are_finite(&e.length, 1); });
        if (bars.nonfinite) return;
        std::sort(tree_.begin(), tree_.end());
        components_.reset(points);  // vertices enter at 0 by index: the index is the age
        for (const Edge& edge : tree_) {
            if (edge.length > threshold) break;
            const auto a = components_.root(static_cast<std::uint32_t>(edge.entry / points));
            const auto b = components_.root(static_cast<std::uint32_t>(edge.entry % points));
            const std::int64_t younger = std::max(a, b);
            components_.attach(std::max(a, b), std::min(a, b));
            if (edge.length == Value{0}) continue;
            bars.finite.push_back(younger * points + younger);
            bars.finite.push_back(edge.entry);
        }
        for (std::int64_t vertex = 0; vertex < points; ++vertex)
            if (components_.is_root(static_cast<std::uint32_t>(vertex))) bars.essential.push_back(vertex * points + vertex);
    }

private:
    struct Edge {
        Value length;
        std::int64_t entry;  // flat index of (i, j), i < j
        bool operator<(const Edge& other) const {
            return length != other.length ? length < other.length : entry < other.entry;
        }
    };

    // The tree is unique: edges are compared in the total order, without ties.
    void grow_tree(const Value* distances, std::int64_t points, Interrupt& interrupt) {
        Pace pace(interrupt);
        tree_.clear();
        outside_.clear();
        for (std::int64_t vertex = 1; vertex < points; ++vertex)
            outside_.push_back({{distances[vertex], vertex}, vertex});
        while (!outside_.empty()) {
            const auto nearest = std::min_element(
                outside_.begin(), outside_.end(), [](const auto& a, const auto& b) { return a.edge < b.edge; });
            pace.after(static_cast<std::int64_t>(outside_.size()));
            const std::int64_t added = nearest->vertex;
            tree_.push_back(nearest->edge);
            *nearest = outside_.back();
            outside_.pop_back();
            for (Candidate& candidate : outside_) {
                const std::int64_t entry = std::min(added, candidate.vertex) * points + std::max(added, candidate.vertex);
                candidate.edge = std::min(candidate.edge, Edge{distances[entry], entry});
            }
        }
    }

    struct Candidate {
        Edge edge;  // the first to connect the vertex with the tree
        std::int64_t vertex;
    };

    std::vector<Candidate> outside_;
    std::vector<Edge> tree_;
    UnionFind components_;
};

}  // namespace topolayer
