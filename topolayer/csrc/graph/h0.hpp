// H0 of lower-star (and upper-star) filtrations of graphs: sort the vertices, sweep them in filtration order, unite.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <vector>

#include "common/bars.hpp"
#include "common/buffer.hpp"
#include "common/interrupt.hpp"
#include "common/merge_tree.hpp"
#include "common/values.hpp"
#include "common/sort.hpp"
#include "common/union_find.hpp"

namespace topolayer {

// Adjacency lists.
class Graph {
public:
    using Vertex = std::uint32_t;

    Graph(std::int64_t vertices, std::span<const std::int64_t> edges) : first_(vertices + 1, 0), neighbors_(edges.size()) {
        for (const std::int64_t vertex : edges) {
            if (vertex < 0 || vertex >= vertices) throw std::invalid_argument("an edge names a vertex that is not there");
            ++first_[vertex + 1];
        }
        for (std::int64_t vertex = 0; vertex < vertices; ++vertex) first_[vertex + 1] += first_[vertex];
        std::vector<std::size_t> next(first_.begin(), first_.end() - 1);
        for (std::size_t i = 0; i < edges.size(); i += 2) {
            neighbors_[next[edges[i]]++] = static_cast<Vertex>(edges[i + 1]);
            neighbors_[next[edges[i + 1]]++] = static_cast<Vertex>(edges[i]);
        }
    }

    std::size_t size() const { return first_.size() - 1; }

    std::span<const Vertex> neighbors(Vertex vertex) const {
        return {neighbors_.data() + first_[vertex], first_[vertex + 1] - first_[vertex]};
    }

private:
    std::vector<std::size_t> first_;
    std::vector<Vertex> neighbors_;
};

// Buffers are kept from one sample to the next.
template <class Value>
class GraphH0 {
public:
    void operator()(const Value* values, const Graph& graph, bool superlevel, Bars& bars, Interrupt& interrupt) {
        bars.nonfinite = !are_finite(values, static_cast<std::int64_t>(graph.size()));
        if (bars.nonfinite) return;
        sort_vertices(values, graph.size(), superlevel);
        sweep(graph, bars, interrupt);
    }

    // The merge tree, with a branch for every vertex, by age; nullptr if a value is not finite.
    const MergeTree* tree(const Value* values, const Graph& graph, bool superlevel, Interrupt& interrupt) {
        Bars bars;
        (*this)(values, graph, superlevel, bars, interrupt);
        return bars.nonfinite ? nullptr : &tree_;
    }

private:
    using Age = UnionFind::Element;
    static constexpr Age not_yet = std::numeric_limits<Age>::max();

    void sort_vertices(const Value* values, std::size_t count, bool superlevel) {
        by_age_.clear();
        for (std::size_t vertex = 0; vertex < count; ++vertex)
            by_age_.push_back({order_key(values[vertex], superlevel), static_cast<Graph::Vertex>(vertex)});
        sort_by_key(by_age_, spare_);
    }

    void sweep(const Graph& graph, Bars& bars, Interrupt& interrupt) {
        Pace pace(interrupt);
        components_.reset(graph.size());  // elements are ages: of two roots the smaller one is older
        age_.assign(graph.size(), not_yet);
        tree_.renew(graph.size());
        for (Age now = 0; now < by_age_.size(); ++now) {
            pace.after(1);
            const auto [key, vertex] = by_age_[now];
            age_[vertex] = now;
            tree_[now] = {vertex, vertex, now};
            Age oldest = now;
            dying_.clear();
            for (const Graph::Vertex neighbor : graph.neighbors(vertex)) {
                if (age_[neighbor] == not_yet) continue;
                const Age root = components_.root(age_[neighbor]);
                if (root == oldest) continue;
                const Age younger = std::max(root, oldest);
                oldest = std::min(root, oldest);
                components_.attach(younger, oldest);
                tree_[younger].saddle = vertex;
                tree_[younger].older = oldest;
                if (by_age_[younger].key != key) dying_.push_back(younger);
            }
            std::sort(dying_.begin(), dying_.end());
            for (const Age birth : dying_) {
                bars.finite.push_back(by_age_[birth].index);
                bars.finite.push_back(vertex);
            }
        }
        for (Age birth = 0; birth < by_age_.size(); ++birth)
            if (components_.is_root(birth)) bars.essential.push_back(by_age_[birth].index);
    }

    Buffer<Keyed<Key<Value>>> by_age_, spare_;
    std::vector<Age> age_;  // of each vertex
    std::vector<Age> dying_;
    UnionFind components_;
    MergeTree tree_;
};

}  // namespace topolayer
