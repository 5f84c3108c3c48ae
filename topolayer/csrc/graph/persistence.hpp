// Lower-star (and upper-star) filtrations of graphs: sort the vertices, sweep them in filtration order, unite. An edge that
// unites nothing closes a loop, which never dies.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "common/bars.hpp"
#include "common/buffer.hpp"
#include "common/interrupt.hpp"
#include "common/merge_tree.hpp"
#include "common/sample.hpp"
#include "common/sort.hpp"
#include "common/union_find.hpp"
#include "common/values.hpp"
#include "graph/graph.hpp"

namespace topolayer {

// An object is used for one sample after another, as it keeps its buffers.
template <class Value>
class GraphPersistence {
public:
    // `dims` are those of `bars`: 0, 1 or both.
    void operator()(const Sample<Value>& sample, const Graph& graph, std::span<const int> dims, Bars* bars) {
        Bars ignored;
        Bars& components = dims.front() == 0 ? bars[0] : ignored;
        Bars* const loops = dims.back() == 1 ? &bars[dims.size() - 1] : nullptr;
        if (!find(sample, graph, components, loops)) bars[0].nonfinite = true;
    }

    // The same with a place for the bars of either dimension; there need not be one for loops. False if a value is not finite.
    bool find(const Sample<Value>& sample, const Graph& graph, Bars& components, Bars* loops) {
        if (!are_finite(sample.values, static_cast<std::int64_t>(graph.size()))) return false;
        sort_vertices(sample, graph.size());
        sweep(graph, components, loops, sample.interrupt);
        return true;
    }

    // The merge tree, with a branch for every vertex, by age; nullptr if a value is not finite.
    const MergeTree* tree(const Sample<Value>& sample, const Graph& graph) {
        Bars bars;
        return find(sample, graph, bars, nullptr) ? &tree_ : nullptr;
    }

    // In the last sample: the place of a vertex in the filtration order, the vertex at a place, the oldest one of a component.
    UnionFind::Element age(Graph::Vertex vertex) const { return age_[vertex]; }
    Graph::Vertex vertex(UnionFind::Element age) const { return by_age_[age].index; }
    Graph::Vertex oldest(Graph::Vertex vertex) { return by_age_[components_.root(age_[vertex])].index; }

private:
    using Age = UnionFind::Element;
    static constexpr Age not_yet = std::numeric_limits<Age>::max();

    void sort_vertices(const Sample<Value>& sample, std::size_t count) {
        by_age_.clear();
        for (std::size_t vertex = 0; vertex < count; ++vertex)
            by_age_.push_back({order_key(sample.values[vertex], sample.superlevel), static_cast<Graph::Vertex>(vertex)});
        sort_by_key(by_age_, spare_);
    }

    void sweep(const Graph& graph, Bars& components, Bars* loops, Interrupt& interrupt) {
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
                if (root == oldest) {
                    if (loops) loops->essential.push_back(vertex);
                    continue;
                }
                const Age younger = std::max(root, oldest);
                oldest = std::min(root, oldest);
                components_.attach(younger, oldest);
                tree_[younger].saddle = vertex;
                tree_[younger].older = oldest;
                if (by_age_[younger].key != key) dying_.push_back(younger);
            }
            std::sort(dying_.begin(), dying_.end());
            for (const Age birth : dying_) {
                components.finite.push_back(by_age_[birth].index);
                components.finite.push_back(vertex);
            }
        }
        for (Age birth = 0; birth < by_age_.size(); ++birth)
            if (components_.is_root(birth)) components.essential.push_back(by_age_[birth].index);
    }

    Buffer<Keyed<Key<Value>>> by_age_, spare_;
    std::vector<Age> age_;  // of each vertex
    std::vector<Age> dying_;
    UnionFind components_;
    MergeTree tree_;
};

}  // namespace topolayer
