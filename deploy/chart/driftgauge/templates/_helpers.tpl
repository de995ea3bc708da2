{{- define "driftgauge.name" -}}
{{ default .Release.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "driftgauge.selector" -}}
app.kubernetes.io/name: driftgauge
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "driftgauge.bridgeName" -}}
{{ include "driftgauge.name" . | trunc 56 | trimSuffix "-" }}-bridge
{{- end }}

{{- /* Another name than the monitor's, whose Service and policy must not select the bridge. */ -}}
{{- define "driftgauge.bridgeSelector" -}}
app.kubernetes.io/name: driftgauge-bridge
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "driftgauge.bridgeLabels" -}}
{{ include "driftgauge.bridgeSelector" . }}
{{ include "driftgauge.release" . }}
{{- end }}

{{- define "driftgauge.labels" -}}
{{ include "driftgauge.selector" . }}
{{ include "driftgauge.release" . }}
{{- end }}

{{- define "driftgauge.release" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* The sidecar's container, for the Deployment here and for charts that have this one as a part. */ -}}
{{- define "driftgauge.container" -}}
name: driftgauge
image: {{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: ["driftgauge", "sidecar"]
env:
  - name: DRIFTGAUGE_CONFIG
    value: /etc/driftgauge/driftgauge.toml
  - name: DRIFTGAUGE_MODELS_FOLDER
    value: /models
  - name: DRIFTGAUGE_STATE__DIRECTORY
    value: /state
  - name: DRIFTGAUGE_SERVER__LISTEN
    value: "0.0.0.0:9109"
  - name: DRIFTGAUGE_SERVER__NOT_READY
    value: {{ .Values.shutdown.notReady | quote }}
  - name: DRIFTGAUGE_SERVER__DRAIN
    value: {{ .Values.shutdown.drain | quote }}
  {{- if .Values.serving.container }}
  - name: DRIFTGAUGE_PROXY__LISTEN
    value: {{ printf "0.0.0.0:%d" (int .Values.proxy.port) }}
  - name: DRIFTGAUGE_PROXY__UPSTREAM
    value: {{ printf "http://127.0.0.1:%d" (int .Values.serving.port) }}
  {{- end }}
  {{- if .Values.token.existingSecret }}
  - name: DRIFTGAUGE_SERVER__TOKEN_FILE
    value: /etc/driftgauge-token/token
  {{- end }}
  {{- with .Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  - name: driftgauge
    containerPort: 9109
  {{- if .Values.serving.container }}
  - name: proxy
    containerPort: {{ .Values.proxy.port }}
  {{- end }}
startupProbe:
  httpGet: {path: /-/healthy, port: driftgauge}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /-/healthy, port: driftgauge}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /-/ready, port: driftgauge}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 1
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  capabilities:
    drop: [ALL]
  seccompProfile:
    type: RuntimeDefault
volumeMounts:
  - {name: driftgauge-config, mountPath: /etc/driftgauge, readOnly: true}
  - {name: driftgauge-references, mountPath: /models, readOnly: true}
  - {name: driftgauge-state, mountPath: /state}
  - {name: driftgauge-tmp, mountPath: /tmp}
  {{- if .Values.token.existingSecret }}
  - {name: driftgauge-token, mountPath: /etc/driftgauge-token, readOnly: true}
  {{- end }}
{{- end }}

{{- define "driftgauge.volumes" -}}
- name: driftgauge-config
  configMap:
    name: {{ include "driftgauge.name" . }}
- name: driftgauge-references
  {{- toYaml .Values.references.volume | nindent 2 }}
- name: driftgauge-state
  {{- toYaml .Values.state.volume | nindent 2 }}
- name: driftgauge-tmp
  emptyDir:
    medium: Memory
    sizeLimit: 64Mi
{{- if .Values.token.existingSecret }}
- name: driftgauge-token
  secret:
    secretName: {{ .Values.token.existingSecret }}
    items:
      - {key: {{ .Values.token.key }}, path: token}
{{- end }}
{{- end }}
